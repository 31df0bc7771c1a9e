//! Who is told of signals: a pure policy, a durable outbox, one file a channel.
