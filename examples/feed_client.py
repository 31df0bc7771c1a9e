"""Follows tapewatch's signals, and misses none: a restart of either side is no loss.

    python3 examples/feed_client.py [ws://127.0.0.1:8080/api/v1/feed] [after]

Needs `pip install websockets` (13 or later). The core is five lines: remember the last `seq`, and give
it back as `after`. Prints one JSON message a line.
"""

import json
import sys
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

url = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/api/v1/feed"
after = int(sys.argv[2]) if len(sys.argv) > 2 else 0

while True:
    try:
        with connect(url, compression=None) as feed:
            feed.send(json.dumps({"op": "subscribe", "id": 1, "channels": ["signals"], "after": after}))
            for message in map(json.loads, feed):
                if message["type"] in ("signal", "gap", "error"):
                    print(json.dumps(message), flush=True)
                after = message.get("to_seq", message.get("seq", after))
    except (OSError, WebSocketException) as error:
        print(f"connection lost ({error}), trying again", file=sys.stderr)
    time.sleep(0.2)
