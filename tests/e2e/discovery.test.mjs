// What runs on this machine is found without a word of configuration: servers by process and port, containers by the
// engine, pages by a container's labels; and what is gone, goes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { importImage, kImage, missingEngine, startEngine, startPodman } from "./engine.mjs";
import { atEnd, freePort, missing, runCommand, scratch, start, until } from "./lib.mjs";
import { missingMariadb, missingPostgres, runPostgres, startMariadb, startPostgres } from "./servers.mjs";

function launch(t, program, ...args) {
  const child = spawn(program, args, { stdio: "ignore" });
  const closed = new Promise((resolve) => child.on("close", resolve));
  const stop = () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    return closed;
  };
  atEnd(t, stop);
  return { child, stop };
}

const services = async (quarterdeck) => (await quarterdeck.api("/api/platform/v1/services")).data.services;
const at = async (quarterdeck, address) => (await services(quarterdeck)).find((one) => one.address === address);

test("servers outside of containers are found, measured, and gone when they end", {
  skip: missing("redis-server", "memcached"),
}, async (t) => {
  const [cache, locked, memory] = [await freePort(), await freePort(), await freePort()];
  const redis = launch(t, "redis-server", "--port", `${cache}`, "--save", "", "--bind", "127.0.0.1");
  launch(t, "redis-server", "--port", `${locked}`, "--save", "", "--bind", "127.0.0.1", "--requirepass", "sesame");
  launch(t, "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", `${memory}`);
  const quarterdeck = await start(t, { discovery: true });
  const found = await until(() => at(quarterdeck, `127.0.0.1:${cache}`), "the first Redis", 20_000);
  assert.equal(found.kind, "redis");
  assert.match(found.foundBy, new RegExp(`port ${cache} of process redis-server \\(pid ${redis.child.pid}\\)`));
  await until(async () => (await at(quarterdeck, `127.0.0.1:${cache}`)).state === "up", "a pass");
  await until(async () => (await at(quarterdeck, `127.0.0.1:${memory}`))?.state === "up", "memcached");
  const shut = await until(async () => {
    const one = await at(quarterdeck, `127.0.0.1:${locked}`);
    return one?.state === "unreadable" && one;
  }, "the locked one");
  assert.match(shut.why, /observe\.redis\[\]\.password/);
  assert.equal(await quarterdeck.value(`redis_up{instance="127.0.0.1:${cache}", job="redis"}`), 1);
  assert.equal(await quarterdeck.value(`redis_up{instance="127.0.0.1:${locked}", job="redis"}`), 0);

  const listed = await runCommand(["targets", "--url", quarterdeck.url]);
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, new RegExp(`up +redis +redis-server +127.0.0.1:${cache} `));
  assert.match(listed.stdout, new RegExp(`unreadable +redis .*:${locked} .*\\n +.*password`));
  const json = JSON.parse((await runCommand(["targets", "--url", quarterdeck.url, "--output", "json"])).stdout);
  assert.ok(json.services.some((one) => one.address === `127.0.0.1:${memory}`));
  assert.ok(json.targets.some((one) => one.labels.job === "node"));

  await redis.stop();
  await until(async () => !(await at(quarterdeck, `127.0.0.1:${cache}`)), "the end of the first Redis", 25_000);
  await until(
    async () => (await quarterdeck.query(`redis_up{instance="127.0.0.1:${cache}"}`)).length === 0,
    "the end of its series",
  );
});

test("as root, databases that let in by socket alone are read with no word of configuration", {
  skip: (process.getuid() !== 0 && "it takes root") || missingPostgres() || missingMariadb(),
}, async (t) => {
  const [postgres, mariadb] = await Promise.all([startPostgres(t), startMariadb(t)]);
  // As Debian sets them up.
  writeFileSync(`${postgres.data}/pg_hba.conf`, "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n");
  runPostgres("pg_ctl", ["-D", postgres.data, "reload"]);
  mariadb.sql("ALTER USER root@localhost IDENTIFIED VIA unix_socket");
  const quarterdeck = await start(t, { discovery: true });
  for (const [kind, address] of [
    ["postgres", `127.0.0.1:${postgres.port}`],
    ["mysql", mariadb.address],
  ]) {
    const found = await until(
      async () => {
        const one = await at(quarterdeck, address);
        assert.notEqual(one?.state, "unreadable", one?.why);
        return one?.state === "up" && one;
      },
      `a pass over ${kind}`,
      20_000,
    );
    assert.equal(found.kind, kind);
  }
  const told = `pg_stat_database_numbackends{instance="127.0.0.1:${postgres.port}", datname="postgres"}`;
  assert.ok((await quarterdeck.value(told)) >= 1);
  const tasks = `/proc/${quarterdeck.child.pid}/task`;
  const users = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/status`, "utf8").match(/^Uid:.*/m)[0]);
  assert.deepEqual([...new Set(users)], ["Uid:\t0\t0\t0\t0"], "every thread is root again");
});

test("a service of a swarm is found with its password, which is a secret of Docker's", {
  skip: missingEngine() || missing("redis-server"),
}, async (t) => {
  const engine = await startEngine(t);
  if (engine === null) return;
  if (!importImage(t, engine, ["/usr/bin/redis-server"])) return;
  const address = `127.0.0.1:${await freePort()}`;
  try {
    engine.docker("swarm", "init", "--advertise-addr", address, "--listen-addr", address);
  } catch (error) {
    return t.skip(`no swarm can be made here: ${error.stderr}`);
  }
  atEnd(t, () => engine.docker("swarm", "leave", "--force"));
  const secret = path.join(scratch(t), "secret");
  writeFileSync(secret, "sesame");
  engine.docker("secret", "create", "cache_password", secret);
  const port = await freePort();
  const serve = `exec redis-server --port ${port} --bind 127.0.0.1 --save "" --requirepass "$(cat /run/secrets/cache_password)"`;
  engine.docker(
    ...["service", "create", "--detach", "--name=cache", "--network=host", "--secret=cache_password"],
    ...["--env=REDIS_PASSWORD_FILE=/run/secrets/cache_password", `--container-label=quarterdeck.port=${port}`],
    ...["--container-label=quarterdeck.kind=redis", kImage, "/bin/sh", "-c", serve],
  );
  atEnd(t, () => engine.docker("service", "rm", "cache"));
  const quarterdeck = await start(t, {
    discovery: true,
    args: ["--set", `observe.docker.socket=${engine.socket}`, "--set", "observe.interval=1s"],
  });
  const found = await until(
    async () => {
      const one = await at(quarterdeck, `127.0.0.1:${port}`);
      return one?.state === "up" && one;
    },
    "a pass",
    30_000,
  );
  assert.equal(found.kind, "redis");
  assert.equal(found.service, "cache");
  assert.equal(found.replica, "1");
  assert.equal(found.origin, "container");
  await until(
    async () => (await quarterdeck.value('redis_up{job="redis", service="cache", replica="1"}')) === 1,
    "its series",
  );
  assert.ok(!quarterdeck.raw.includes("sesame"), "the secret is not logged");
  assert.ok(!(await quarterdeck.get("/api/platform/v1/services")).text.includes("sesame"), "nor shown");
});

test("a container of Podman appears and goes within a second", {
  skip: missingEngine() || missing("podman", "runc"),
}, async (t) => {
  const podman = await startPodman(t);
  if (podman === null) return;
  if (!importImage(t, podman)) return;
  const quarterdeck = await start(t, {
    discovery: true,
    args: ["--set", `observe.docker.socket=${podman.socket}`, "--set", "observe.interval=1s"],
  });
  const containers = async () => (await quarterdeck.api("/api/platform/v1/containers")).data;
  await until(async () => (await containers()).engine.state === "connected", "the engine");
  let id;
  try {
    const limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--network=host"];
    id = podman.docker("run", "-d", ...limits, "--name=web", kImage, "/bin/sleep", "3600");
  } catch (error) {
    return t.skip(`Podman cannot run a container here: ${error.stderr}`);
  }
  atEnd(t, () => podman.docker("rm", "-f", id));
  const state = async () => (await containers()).containers.find((one) => one.id === id)?.state;
  await until(async () => (await state()) === "running", "the container", 1_500);
  await until(
    async () => (await quarterdeck.value('container_memory_usage_bytes{name="web"}')) > 0,
    "the container's figures",
  );
  podman.docker("kill", id);
  await until(async () => (await state()) !== "running", "its end", 1_500);
});

test("a container appears and goes within a second, and its labelled page is scraped", {
  skip: missingEngine() || missing("busybox"),
}, async (t) => {
  const engine = await startEngine(t);
  if (engine === null) return;
  if (!importImage(t, engine)) return;
  const quarterdeck = await start(t, {
    discovery: true,
    args: ["--set", `observe.docker.socket=${engine.socket}`, "--set", "observe.interval=1s"],
  });
  const containers = async () => (await quarterdeck.api("/api/platform/v1/containers")).data;
  await until(async () => (await containers()).engine.state === "connected", "the engine");
  const port = await freePort();
  const labels = [
    "--label=com.docker.compose.project=shop",
    "--label=com.docker.compose.service=checkout",
    "--label=prometheus.io/scrape=true",
    `--label=prometheus.io/port=${port}`,
    "--label=prometheus.io/path=/stats.txt",
    "--label=quarterdeck.interval=2s",
  ];
  const page = "mkdir -p /tmp/www; echo checkout_orders_total 7 > /tmp/www/stats.txt";
  const serve = `${page}; exec httpd -f -p 127.0.0.1:${port} -h /tmp/www`;
  const secret = ["--env", "API_KEY=sesame"];
  const id = engine.docker(
    "run",
    "-d",
    "--network=host",
    "--name=checkout",
    ...labels,
    ...secret,
    kImage,
    "/bin/sh",
    "-c",
    serve,
  );
  atEnd(t, () => engine.docker("rm", "-f", id));
  // A page that makes no target costs nobody else theirs.
  const wrong = [
    "--label=prometheus.io/scrape=true",
    "--label=prometheus.io/port=9",
    "--label=prometheus.io/scheme=ftp",
  ];
  const odd = engine.docker("run", "-d", "--network=host", ...wrong, kImage, "/bin/sleep", "3600");
  atEnd(t, () => engine.docker("rm", "-f", odd));
  const seen = await until(
    async () => (await containers()).containers.find((one) => one.id === id),
    "the container",
    1_500,
  );
  assert.equal(seen.name, "checkout");
  assert.equal(seen.project, "shop");
  assert.equal(seen.state, "running");
  const scraped = `checkout_orders_total{instance="127.0.0.1:${port}", job="checkout", project="shop"}`;
  await until(async () => (await quarterdeck.value(scraped)) === 7, "the page", 20_000);
  const listed = await at(quarterdeck, `127.0.0.1:${port}`);
  assert.equal(listed.kind, "openmetrics");
  assert.equal(listed.state, "up");
  assert.equal(listed.samples, 1);
  assert.equal(listed.interval, "2s");
  assert.ok(
    !(await quarterdeck.get("/api/platform/v1/containers")).text.includes("sesame"),
    "environments are not shown",
  );
  assert.ok(!quarterdeck.raw.includes("sesame"), "nor logged");
  await until(
    async () => (await quarterdeck.value('container_memory_usage_bytes{name="checkout"}')) > 0,
    "the container's figures",
  );
  engine.docker("kill", id);
  await until(
    async () => (await containers()).containers.find((one) => one.id === id)?.state !== "running",
    "its end",
    1_500,
  );
  await until(async () => (await quarterdeck.query(scraped)).length === 0, "the end of its series", 15_000);
});
