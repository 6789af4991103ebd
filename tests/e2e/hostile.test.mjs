// Servers that are not what they should be: silent, cut off in the middle, endless, binary. Each is told with its own
// trouble, holds nothing but itself, and all others go on at their pace.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { atEnd, scratch, sleep, start, until } from "./lib.mjs";

/** Listens on a port (or a path) of its own; `serve` gets each connection. */
async function listen(t, server, where = { host: "127.0.0.1", port: 0 }) {
  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(where);
  await once(server, "listening");
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const place = server.address();
  return typeof place === "string" ? place : `127.0.0.1:${place.port}`;
}

const kBlock = Buffer.alloc(1 << 16, "x");

/** Sends without end, as fast as the other side takes it. */
function flood(socket) {
  const more = () => {
    while (!socket.destroyed && socket.write(kBlock));
  };
  socket.on("drain", more);
  more();
}

const kManners = {
  silent: () => {},
  "closed at once": (socket) => socket.end(),
  "cut off": (socket, half) => socket.once("data", () => socket.end(half)),
  "one line without end": (socket) => socket.once("data", () => flood(socket)),
  binary: (socket) => socket.once("data", () => socket.end(Buffer.from([0, 1, 255, 254, 10, 0, 200, 13, 10]))),
};

// The beginning of a right answer, which is then cut off.
const kHalves = {
  redis: "$4000\r\n# Server\r\nredis_version:7",
  memcached: "STAT pid 1\r\nSTAT upti",
  nginx: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nActive connections: 1",
  postgres: Buffer.from([0x52, 0, 0, 0, 8, 0]),
  mysql: Buffer.from([0x4a, 0, 0, 0, 10, 0x35]),
};

function setting(kind, address) {
  const item = kind === "nginx" ? { status_url: `http://${address}/stub_status` } : { address };
  if (kind === "postgres" || kind === "mysql") Object.assign(item, { user: "monitor", password: "sesame" });
  return item;
}

test("servers that are silent, cut off, endless or binary are told, and nobody waits for them", async (t) => {
  const args = ["--set", "observe.interval=2s"];
  const addresses = [];
  for (const [kind, half] of Object.entries(kHalves)) {
    const items = [];
    for (const manner of Object.values(kManners)) {
      const address = await listen(
        t,
        net.createServer((socket) => manner(socket, half)),
      );
      addresses.push({ kind, address });
      items.push(setting(kind, address));
    }
    args.push("--set", `observe.${kind}=${JSON.stringify(items)}`);
  }
  const quarterdeck = await start(t, { args });
  // Long enough for the slow ones to have met their deadline some times.
  await sleep(10_000);
  const { services } = (await quarterdeck.api("/api/platform/v1/services")).data;
  for (const { kind, address } of addresses) {
    const service = services.find((one) => one.kind === kind && one.address === address);
    assert.ok(service, `${kind} ${address} is shown`);
    assert.notEqual(service.state, "up", `${kind} ${address}`);
    assert.ok(service.why?.includes(address), `${kind} ${address} says why: ${service.why}`);
    assert.ok(!service.why.includes("sesame"));
  }
  const down = await quarterdeck.query('{__name__=~"redis_up|memcached_up|nginx_up|pg_up|mysql_up"} == 1');
  assert.deepEqual(down, [], "none of them is up");
  const passes = await quarterdeck.value('count_over_time(node_load1{job="node"}[10s])');
  assert.ok(passes >= 4, `the host was measured ${passes} times in 10 s`);
  const resident = await quarterdeck.value("process_resident_memory_bytes");
  assert.ok(resident < 200e6, `${resident} bytes are resident`);
  assert.ok(!quarterdeck.raw.includes("sesame"));
});

test("an engine of ten thousand containers is read whole, and one that dies in between is passed over", async (t) => {
  const kCount = 10_000;
  const id = (number) => number.toString(16).padStart(64, "0");
  const gone = id(7);
  const engine = http.createServer((request, response) => {
    response.setHeader("Api-Version", "1.41");
    response.setHeader("Content-Type", "application/json");
    const { pathname } = new URL(request.url, "http://docker");
    if (pathname.endsWith("/_ping")) return response.end("OK");
    if (pathname.endsWith("/events")) return response.flushHeaders();
    if (pathname.endsWith("/containers/json")) {
      const all = Array.from({ length: kCount }, (_, number) => ({
        Id: id(number),
        Names: [`/app-${number}`],
        Image: "app:1",
        State: "running",
        Status: "Up",
        Labels: {},
      }));
      return response.end(JSON.stringify(all));
    }
    const found = pathname.match(/\/containers\/([0-9a-f]{64})\/json$/);
    if (!found || found[1] === gone) {
      response.statusCode = 404;
      return response.end('{"message":"No such container"}');
    }
    const name = `app-${Number.parseInt(found[1], 16)}`;
    response.end(
      JSON.stringify({
        Id: found[1],
        Name: `/${name}`,
        Created: "2026-01-01T00:00:00Z",
        Path: "sleep",
        Args: ["1"],
        State: { Status: "running", Running: true, Pid: 0, StartedAt: "2026-01-01T00:00:00Z" },
        Image: "sha256:1",
        Config: { Env: ["SECRET=sesame"], Image: "app:1", Labels: {} },
        HostConfig: { NetworkMode: "none" },
        NetworkSettings: { Ports: {}, Networks: {} },
      }),
    );
  });
  const socket = await listen(t, engine, { path: path.join(scratch(t), "docker.sock") });
  const quarterdeck = await start(t, {
    discovery: true,
    args: ["--set", `observe.docker.socket=${socket}`, "--set", "observe.interval=2s"],
  });
  const containers = async () => (await quarterdeck.api("/api/platform/v1/containers")).data.containers;
  await until(async () => (await containers()).length === kCount - 1, "all of the containers", 60_000);
  assert.ok(!(await containers()).some((one) => one.id === gone));
  const began = Date.now();
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
  assert.ok(Date.now() - began < 1_000, "it answers at once");
  await sleep(5_000);
  assert.ok((await quarterdeck.value('count_over_time(node_load1{job="node"}[10s])')) >= 4);
  assert.ok((await quarterdeck.value("process_resident_memory_bytes")) < 300e6);
});

test("a socket that is no engine is told, and the rest goes on", async (t) => {
  const place = path.join(scratch(t), "docker.sock");
  const socket = await listen(
    t,
    net.createServer((peer) => peer.once("data", () => flood(peer))),
    { path: place },
  );
  const quarterdeck = await start(t, {
    args: ["--set", `observe.docker.socket=${socket}`],
    discovery: true,
  });
  const engine = await until(async () => {
    const told = (await quarterdeck.api("/api/platform/v1/containers")).data.engine;
    return told.state === "away" && told.why && told;
  }, "the engine's trouble");
  assert.match(engine.why, /docker\.sock/);
  await until(async () => (await quarterdeck.value("count(node_load1)")) === 1, "the host's figures");
});
