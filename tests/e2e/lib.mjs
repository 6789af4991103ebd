// What the end-to-end tests share: the real program, a scrape target, a webhook receiver, small helpers.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const binary = process.env.QD_BINARY ?? path.join(root, "build/release/quarterdeck");
export const conformance = path.resolve(root, "../shared/conformance");
export const haveConformance = existsSync(conformance);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const cleanups = new WeakMap();

/** Runs `task` at the end of the test, the last one first, whatever the others do. */
export function atEnd(t, task) {
  if (!cleanups.has(t)) {
    const tasks = [];
    cleanups.set(t, tasks);
    t.after(async () => {
      for (const one of tasks.reverse()) {
        try {
          await one();
        } catch (error) {
          t.diagnostic(`cleaning up: ${error.message}`);
        }
      }
    });
  }
  cleanups.get(t).push(task);
}

/** A directory of its own for a test, removed at its end. */
export function scratch(t) {
  const dir = mkdtempSync(path.join(tmpdir(), "qd-e2e-"));
  atEnd(t, () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

// Debian has servers where only root's PATH looks.
const kPath = `${process.env.PATH}:/usr/sbin:/sbin`;

/** Why a test that needs these programs is skipped, or false. */
export function missing(...programs) {
  const lacking = programs.filter((program) => {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore", env: { PATH: kPath } });
      return false;
    } catch {
      return true;
    }
  });
  return lacking.length > 0 ? `${lacking.join(" and ")} is not installed` : false;
}

/** Starts a program that ends with the test at the latest; `log` is what it has said. */
export function startProgram(t, program, args, env = {}) {
  const child = spawn(program, args, { env: { ...process.env, PATH: kPath, ...env } });
  const running = { child, log: "" };
  running.closed = new Promise((resolve) => child.on("close", resolve));
  child.stdout.on("data", (part) => (running.log += part));
  child.stderr.on("data", (part) => (running.log += part));
  running.stop = async (signal = "SIGKILL") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await running.closed;
  };
  atEnd(t, () => running.stop());
  return running;
}

/** Waits until `probe` gives something true, and gives it; fails with `what` after `ms`. */
export async function until(probe, what, ms = 10_000) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  assert.fail(`${what} did not happen within ${ms} ms${last ? `: ${last.message}` : ""}`);
}

/** A request without fetch's rules about headers. */
export function request(url, { method = "GET", headers = {}, body, ca } = {}) {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const options = { method, headers, agent: false, timeout: 20_000, ca };
    import(target.protocol === "https:" ? "node:https" : "node:http").then(({ request: open }) => {
      const outgoing = open(target, options, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => {
          const bytes = Buffer.concat(parts);
          resolve({ status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() });
        });
        response.on("error", reject);
      });
      outgoing.on("error", reject);
      outgoing.on("timeout", () => outgoing.destroy(new Error(`${url} took too long`)));
      outgoing.end(body);
    }, reject);
  });
}

/** Runs the program to its end. */
export function runCommand(args, { env = {}, timeoutMs = 20_000, cwd } = {}) {
  return new Promise((resolve) => {
    const child = spawn(binary, args, { env: { ...process.env, ...env }, cwd });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (part) => (stdout += part));
    child.stderr.on("data", (part) => (stderr += part));
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

export class Quarterdeck {
  constructor(child, dataDir) {
    this.child = child;
    this.dataDir = dataDir;
    this.log = [];
    this.exited = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  }

  /** Lines of the log whose message contains `text`. */
  logged(text) {
    return this.log.filter((line) => JSON.stringify(line).includes(text));
  }

  get(pathAndQuery, options) {
    return request(this.url + pathAndQuery, options);
  }

  async api(pathAndQuery, options) {
    const response = await this.get(pathAndQuery, options);
    return { httpStatus: response.status, ...JSON.parse(response.text) };
  }

  /** The result of an instant query. */
  async query(expr, time) {
    const at = time === undefined ? "" : `&time=${time}`;
    const answer = await this.api(`/api/v1/query?query=${encodeURIComponent(expr)}${at}`);
    assert.equal(answer.status, "success", `${expr}: ${answer.error}`);
    return answer.data.result;
  }

  /** The value of the only series of an instant query. */
  async value(expr) {
    const result = await this.query(expr);
    return result.length === 1 ? Number(result[0].value[1]) : undefined;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 15_000);
    const end = await this.exited;
    clearTimeout(timer);
    return end;
  }

  async kill() {
    this.child.kill("SIGKILL");
    return this.exited;
  }
}

/**
 * Starts the program on a free port and waits until it is ready.
 * Settings of the test come last, so they override. What else runs on this machine is not looked for, unless asked to.
 */
export async function start(
  t,
  { args = [], dataDir, env = {}, listen = "127.0.0.1:0", wrapper = [], ready = true, discovery = false } = {},
) {
  const dir = dataDir ?? path.join(scratch(t), "data");
  const alone = discovery ? [] : ["--set", "observe.discovery.enabled=false"];
  const command = [...wrapper, binary, "run", "--data-dir", dir, "--log-format", "json", ...alone, ...args];
  if (listen) command.push("--listen", listen);
  const child = spawn(command[0], command.slice(1), { env: { ...process.env, ...env } });
  const quarterdeck = new Quarterdeck(child, dir);
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await quarterdeck.exited;
  });
  let partial = "";
  quarterdeck.raw = "";
  child.stderr.on("data", (part) => {
    quarterdeck.raw += part;
    const lines = (partial + part).split("\n");
    partial = lines.pop();
    for (const line of lines) {
      try {
        quarterdeck.log.push(JSON.parse(line));
      } catch {
        quarterdeck.log.push({ msg: line });
      }
    }
  });
  const address = new Promise((resolve) => {
    let out = "";
    child.stdout.on("data", (part) => {
      out += part;
      const found = out.match(/https?:\/\/\S+/);
      if (found) resolve(found[0].replace(/\/$/, ""));
    });
  });
  const late = new Promise((resolve) => setTimeout(resolve, 15_000).unref());
  const outcome = await Promise.race([address, quarterdeck.exited, late]);
  if (typeof outcome !== "string") {
    assert.fail(`quarterdeck did not serve: ${JSON.stringify(outcome)}\n${quarterdeck.raw}`);
  }
  quarterdeck.url = outcome;
  if (ready) {
    await until(async () => (await request(`${outcome}/-/ready`)).status === 200, "readiness");
  }
  return quarterdeck;
}

/** An HTTP server of the test's own; `handler` may be replaced. */
export async function serve(t, handler) {
  const state = { handler, requests: [] };
  const server = http.createServer((incoming, response) => {
    const parts = [];
    incoming.on("data", (part) => parts.push(part));
    incoming.on("end", () => {
      const body = Buffer.concat(parts).toString();
      state.requests.push({ path: incoming.url, method: incoming.method, headers: incoming.headers, body });
      state.handler(incoming, response, body);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.port = server.address().port;
  state.address = `127.0.0.1:${state.port}`;
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return state;
}

export function writeConfig(dir, name, text) {
  mkdirSync(dir, { recursive: true });
  const file = path.join(dir, name);
  writeFileSync(file, text);
  return file;
}

/** A port that nobody listens on right now. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
