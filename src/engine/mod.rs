//! The live engine: shards, the router that journals, symbol actors, the bus to the sinks.
