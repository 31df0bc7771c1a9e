//! What clients see: REST, the feed, the page, all from outputs alone.
