//! Frames that no venue should send, and any may.

use crate::venues::simulator::socket::Opcode;
use crate::venues::simulator::world::World;

/// One of these goes to everybody who subscribed to the market.
pub fn tell(world: &mut World, market: usize) {
    let spelled = world.markets[market].spelled.clone();
    let now = world.now();
    let millis = now.0 / 1_000_000;
    // Ids and times are sound where they would be believed: what is wrong is what the text says.
    let frames = [
        "{\"e\":\"trade\",\"E\":".to_owned(),
        "garbage".to_owned(),
        String::new(),
        "null".to_owned(),
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[".to_owned(),
        "{\"unknown\":{\"type\":\"never heard of\",\"values\":[1,2,3]}}".to_owned(),
        format!(
            "{{\"e\":\"trade\",\"E\":{millis},\"s\":\"{spelled}\",\"t\":-1,\"p\":\"NaN\",\"q\":\"-5\",\"T\":{millis},\"m\":7,\"M\":true}}"
        ),
        format!(
            "{{\"type\":\"match\",\"trade_id\":\"x\",\"product_id\":\"{spelled}\",\"size\":\"0\",\"price\":\"1e400\",\"side\":\"up\",\"time\":\"{now}\"}}"
        ),
        format!(
            "{{\"channel\":\"market_trades\",\"timestamp\":\"{now}\",\"events\":[{{\"type\":\"update\",\"trades\":[{{\"product_id\":\"{spelled}\"}},7,null]}}]}}"
        ),
        "{\"stream\":\"x@trade\",\"data\":{\"e\":\"trade\"}}".to_owned(),
        "x".repeat(20_000),
    ];
    let frame = world.dice("garbage").below(frames.len() + 1);
    let connections: Vec<usize> =
        world.markets[market].subscribers.iter().map(|subscriber| subscriber.connection).collect();
    for connection in connections {
        match frames.get(frame) {
            Some(text) => world.send(connection, text.as_bytes()),
            None => world.send_frame(connection, Opcode::Binary, &[0, 159, 146, 150, 255]),
        }
    }
}
