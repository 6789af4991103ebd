// Servers of a test's own, from Debian's packages, on free ports of 127.0.0.1.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { atEnd, freePort, missing, request, scratch, startProgram, until } from "./lib.mjs";

/** Sends a text protocol's commands in lines, `quit` at the end, and gives what the server says. */
export function say(port, ...commands) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    let answer = "";
    socket.on("error", reject);
    socket.on("data", (part) => (answer += part));
    socket.on("end", () => resolve(answer));
    socket.write(`${[...commands, "quit"].join("\r\n")}\r\n`);
  });
}

export async function startRedis(t, args = []) {
  const port = await freePort();
  const dir = scratch(t);
  const always = ["--bind", "127.0.0.1", "--port", `${port}`, "--dir", dir, "--save", "", "--daemonize", "no"];
  const redis = startProgram(t, "redis-server", [...always, ...args]);
  await until(
    async () => {
      assert.equal(redis.child.exitCode, null, redis.log);
      return /PONG|NOAUTH/.test(await say(port, "PING"));
    },
    "an answer of redis-server",
    20_000,
  );
  return { ...redis, port, dir, address: `127.0.0.1:${port}` };
}

export async function startMemcached(t, port) {
  const user = process.getuid() === 0 ? ["-u", "nobody"] : [];
  const memcached = startProgram(t, "memcached", ["-l", "127.0.0.1", "-p", `${port}`, ...user]);
  await until(async () => (await say(port, "version")).startsWith("VERSION"), "an answer of memcached", 20_000);
  return memcached;
}

const kMariadb = "/usr/sbin/mariadbd";
const kMariadbInstall = "/usr/bin/mariadb-install-db";

export const missingMariadb = () => missing(kMariadb, kMariadbInstall);

const kAsRoot = process.getuid() === 0 ? ["--user=root"] : [];

export async function startMariadb(t, settings = []) {
  const dir = scratch(t);
  const data = `--datadir=${dir}/data`;
  const plain = ["--skip-test-db", "--auth-root-authentication-method=normal"];
  execFileSync(kMariadbInstall, ["--no-defaults", data, ...plain, ...kAsRoot], { stdio: "ignore" });
  const port = await freePort();
  const socket = path.join(dir, "m.sock");
  const args = ["--no-defaults", data, ...kAsRoot, "--bind-address=127.0.0.1", `--port=${port}`, `--socket=${socket}`];
  const server = startProgram(t, kMariadb, [...args, "--innodb-buffer-pool-size=16M", ...settings]);
  server.port = port;
  server.address = `127.0.0.1:${port}`;
  const client = ["--no-defaults", `--socket=${socket}`, "--user=root"];
  server.sql = (text) => execFileSync("mariadb", client, { input: text, encoding: "utf8" });
  server.hold = (text) => startProgram(t, "mariadb", [...client, "--execute", text]);
  await until(
    () => {
      assert.equal(server.child.exitCode, null, server.log);
      return spawnSync("mariadb", [...client, "--execute", "SELECT 1"]).status === 0;
    },
    "an answer of mariadbd",
    60_000,
  );
  return server;
}

export const kMonitorPassword = "s3cret!";
export const kMonitorRights = "GRANT PROCESS, REPLICATION CLIENT, SLAVE MONITOR, SELECT ON *.* TO";

/** The account that the collector is to use: `monitor`, with the password that `kMonitorPassword` is. */
export function makeAccount(server, grant = `${kMonitorRights} 'monitor'@'%';`) {
  server.sql(`CREATE USER 'monitor'@'%' IDENTIFIED BY '${kMonitorPassword}'; ${grant}`);
}

export const kNginx = "/usr/sbin/nginx";

/** An nginx of the test's own: a front with a status page, and an upstream of which one server is dead. */
export async function startNginx(t) {
  const dir = scratch(t);
  const [front, back, dead] = [await freePort(), await freePort(), await freePort()];
  const log = path.join(dir, "access.log");
  const keys = ["status", "request_method", "server_name", "request_time", "request_length", "body_bytes_sent"];
  const lists = ["upstream_addr", "upstream_status", "upstream_response_time", "upstream_connect_time"];
  const format = [...keys, ...lists].map((key) => `"${key}":"$${key}"`).join(",");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `
    daemon off; worker_processes 2; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
    ${process.getuid() === 0 ? "user root;" : ""}
    events { worker_connections 64; }
    http {
      ${temporary.map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(" ")}
      log_format all escape=json '{${format}}';
      access_log off;
      upstream shop { server 127.0.0.1:${dead} max_fails=0; server 127.0.0.1:${back}; }
      server { listen 127.0.0.1:${back}; location / { return 200 "hello"; } location /broken { return 500; } }
      server {
        listen 127.0.0.1:${front}; server_name front; access_log ${log} all;
        location = /stub_status { access_log off; stub_status; allow 127.0.0.1; deny all; }
        location = /denied { access_log off; stub_status; deny all; }
        location / { proxy_pass http://shop; }
      }
    }`;
  writeFileSync(path.join(dir, "nginx.conf"), config);
  const nginx = startProgram(t, kNginx, ["-p", dir, "-c", path.join(dir, "nginx.conf"), "-e", `${dir}/error.log`]);
  // Killed, it would leave its workers.
  atEnd(t, () => nginx.stop("SIGTERM"));
  const url = `http://127.0.0.1:${front}`;
  await until(
    async () => {
      assert.equal(nginx.child.exitCode, null, nginx.log);
      return (await request(`${url}/stub_status`)).status === 200;
    },
    "an answer of nginx",
    20_000,
  );
  return { ...nginx, url, front, log, living: `127.0.0.1:${back}`, dead: `127.0.0.1:${dead}` };
}

const kPostgres = "/usr/lib/postgresql/15/bin";

export function missingPostgres() {
  if (!existsSync(`${kPostgres}/postgres`)) return "PostgreSQL 15 is not installed";
  return process.getuid() === 0 ? missing("runuser") : false;
}

/** Runs one of PostgreSQL's programs, as a user that it does not refuse. */
export function runPostgres(program, args, env = {}) {
  const command = [`${kPostgres}/${program}`, ...args];
  const whole = process.getuid() === 0 ? ["runuser", "-u", "postgres", "--", ...command] : command;
  // The server that pg_ctl leaves must not hold a pipe of ours.
  execFileSync(whole[0], whole.slice(1), { stdio: "ignore", env: { ...process.env, PGPASSWORD: "secret", ...env } });
}

export function sql(port, statement) {
  runPostgres("psql", ["-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]);
}

export function launchPostgres(t, data) {
  runPostgres("pg_ctl", ["-D", data, "-l", `${data}.log`, "-w", "start"]);
  atEnd(t, () => runPostgres("pg_ctl", ["-D", data, "-m", "immediate", "-w", "stop"]));
}

/** A server whose superuser `postgres` has the password `secret`; `settings` go into its postgresql.conf. */
export async function startPostgres(t, settings = "") {
  const dir = scratch(t);
  chmodSync(dir, 0o755);
  writeFileSync(path.join(dir, "password"), "secret\n");
  if (process.getuid() === 0) spawnSync("chown", ["-R", "postgres", dir]);
  const data = path.join(dir, "primary");
  const port = await freePort();
  runPostgres("initdb", ["-D", data, "-U", "postgres", "-A", "scram-sha-256", "-N", "-k", `--pwfile=${dir}/password`]);
  appendFileSync(path.join(data, "postgresql.conf"), postgresSettings(dir, port) + settings);
  launchPostgres(t, data);
  return { dir, port, data };
}

export const postgresSettings = (dir, port) =>
  `port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '${dir}'\nfsync = off\n`;
