// What a worker thread of Node's runs for an embedded kernel (node-workers.ts).
import { parentPort } from "node:worker_threads";
import { serveWorker } from "../runtime/index.ts";
import { nodeHost } from "./node-host.ts";

if (parentPort !== null) {
  const port = parentPort;
  serveWorker(
    { post: (message) => port.postMessage(message), onMessage: (listener) => port.on("message", listener) },
    nodeHost,
  );
}
