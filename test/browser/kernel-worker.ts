// What a web worker runs to be a CPU of the kernel in spread.ts.
import { serveWorker } from "../../src/runtime/index.ts";

serveWorker({
  post: (message) => postMessage(message),
  onMessage: (listener) => addEventListener("message", ({ data }) => listener(data)),
});
