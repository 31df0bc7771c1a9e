// The live feed: one websocket, resumed behind the last message that was seen.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;
// Three heartbeats without a word: the line is dead, whatever the browser thinks.
const SILENCE = 16000;

export class Feed {
  constructor(onMessage, onState) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.seq = null;
    this.wait = FIRST_WAIT;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/api/v1/feed`);
    this.socket.onopen = () => {
      this.wait = FIRST_WAIT;
      const request = { op: "subscribe", id: 1, channels: ["signals", "gaps", "status"], on_slow: "conflate" };
      if (this.seq !== null) request.after = this.seq;
      this.socket.send(JSON.stringify(request));
      this.onState("up", "live");
      this.listen();
    };
    this.socket.onmessage = (event) => {
      this.listen();
      const message = JSON.parse(event.data);
      // A number that is lower than ours: the engine was started on another directory.
      if (message.type === "error" && message.code === "bad_after") {
        this.seq = null;
        this.socket.close();
        return;
      }
      if (typeof message.seq === "number") this.seq = message.seq;
      this.onMessage(message);
    };
    this.socket.onclose = () => {
      clearTimeout(this.silence);
      this.onState("down", "reconnecting");
      setTimeout(() => this.open(), this.wait * (0.5 + Math.random() / 2));
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    };
  }

  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.socket.close(), SILENCE);
  }
}
