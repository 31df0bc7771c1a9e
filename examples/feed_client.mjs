// Follows tapewatch's signals, and misses none: a restart of either side is no loss.
//
//     node examples/feed_client.mjs [ws://127.0.0.1:8080/api/v1/feed] [after]
//
// Runs in any browser, and in Node from version 22 on (in 21 and 20 with --experimental-websocket); no
// package is needed. The core is five lines: remember the last `seq`, and give it back as `after`.

const [url = "ws://127.0.0.1:8080/api/v1/feed", start = "0"] = process.argv.slice(2);
let after = Number(start);

function follow() {
  const feed = new WebSocket(url);
  feed.onopen = () => feed.send(JSON.stringify({ op: "subscribe", id: 1, channels: ["signals"], after }));
  feed.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (["signal", "gap", "error"].includes(message.type)) console.log(data);
    after = message.to_seq ?? message.seq ?? after;
  };
  feed.onerror = () => {};
  feed.onclose = () => setTimeout(follow, 200);
}

follow();
