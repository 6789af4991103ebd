// The collector of GPUs with a stand-in for the driver's library, which is built here: what it tells, and that neither
// an absent nor a hanging driver disturbs anybody. Where there is a GPU, beside nvidia-smi as well.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { atEnd, conformance, missing, root, scratch, sleep, start, startProgram, until } from "./lib.mjs";

const kSource = path.join(root, "src/observe/gpu/stand_in/nvml_stand_in.cpp");
const kOneGpu = `gpus 1
driver 550.54.15
0 uuid GPU-aa
0 name NVIDIA H100 80GB HBM3
0 bus 00000000:18:00.0
0 sm_clock 1980
0 mem_clock 2619
0 temp 41
0 power 312345
0 util 97
0 mem_util 40
0 enc 3
0 dec 4
0 memory 81559 600 40000
0 reasons 1
`;
// Every field that the collector asks for, and every performance counter.
const kAll = [3, 4, 5, 6, 29, 30, 31, 38, 45, 52, 59, 74, 75, 76, 77, 78, 79, 82, 83, 94, 142, 143, 145]
  .map((field) => `0 field ${field} 1`)
  .concat(["0 field 138 all 1", "0 field 139 all 1", "0 field 138 0 1", "0 field 139 0 1"])
  .concat([1, 2, 3, 5, 10, 11, 12, 13, 20, 21].map((counter) => `0 gpm ${counter} 50`))
  .join("\n");

const compiler = ["clang++-19", "g++-12", "c++"].find((name) => {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
});
const skip = compiler ? false : "no C++ compiler to build the stand-in for the driver with";

/** The stand-in and its script; `play` replaces the script at once. */
function driver(t) {
  const dir = scratch(t);
  const library = path.join(dir, "libnvidia-ml.so.1");
  execFileSync(compiler, [
    "-std=c++2b",
    "-O1",
    "-shared",
    "-fPIC",
    "-DQD_NVML_NEW",
    "-I",
    path.join(root, "src"),
    "-o",
    library,
    kSource,
  ]);
  const script = path.join(dir, "script");
  const play = (text) => {
    writeFileSync(`${script}.new`, text);
    renameSync(`${script}.new`, script);
  };
  play("gpus 0\n");
  return { library, play, env: { QD_NVML_SCRIPT: script } };
}

const startWith = (t, library, env = {}, more = []) =>
  start(t, { env, args: ["--set", `observe.gpu.library=${library}`, ...more] });

async function page(quarterdeck) {
  const answer = await quarterdeck.get("/exporters/dcgm/metrics");
  assert.equal(answer.status, 200, answer.text);
  return answer.text;
}

test("GPUs are told with the names and labels of dcgm-exporter", { skip }, async (t) => {
  const gpus = driver(t);
  gpus.play(`${kOneGpu}${kAll}\n0 process compute ${process.pid} 1024\n1 uuid GPU-bb\n`.replace("gpus 1", "gpus 2"));
  const quarterdeck = await startWith(t, gpus.library, gpus.env);
  await until(() => page(quarterdeck), "a page of the collector");
  // Rates and means are told from the second pass on.
  const text = await until(async () => {
    const now = await page(quarterdeck);
    return now.includes("DCGM_FI_PROF_SM_ACTIVE{") && now;
  }, "performance counters");
  const labels = `gpu="0",UUID="GPU-aa",pci_bus_id="00000000:18:00.0",device="nvidia0",modelName="NVIDIA H100 80GB HBM3"`;
  const line = text.split("\n").find((one) => one.startsWith("DCGM_FI_DEV_GPU_TEMP{") && one.includes("GPU-aa"));
  for (const label of [...labels.split(/,(?=\w)/), 'DCGM_FI_DRIVER_VERSION="550.54.15"']) {
    assert.ok(line.includes(label), `${label} in ${line}`);
  }
  assert.match(line, /Hostname="[^"]+"/);
  assert.match(line, / 41$/);
  assert.match(text, /DCGM_FI_DEV_POWER_USAGE\{.*\} 312\.345\n/);
  assert.match(text, /DCGM_FI_DEV_FB_USED\{.*\} 40000\n/);
  assert.match(text, new RegExp(`DCGM_EXP_PROCESS_FB_USED\\{.*pid="${process.pid}".*process="node".*\\} 1024\\n`));

  const list = path.join(conformance, "exporters/dcgm.tsv");
  if (!existsSync(list)) {
    t.diagnostic("no ../shared/conformance: names are not compared");
  } else {
    for (const row of readFileSync(list, "utf8")
      .split("\n")
      .filter((one) => one !== "")) {
      const [name, type] = row.split("\t");
      if (type === "label" || name === "DCGM_EXP_GPU_HEALTH_STATUS") continue;
      assert.ok(text.includes(`\n${name}{`), name);
    }
  }

  await until(async () => {
    const query = encodeURIComponent('DCGM_FI_DEV_GPU_TEMP{job="dcgm",UUID="GPU-aa"}');
    const { data } = JSON.parse((await quarterdeck.get(`/api/v1/query?query=${query}`)).text);
    return data.result.length === 1 && data.result[0].value[1] === "41";
  }, "the temperature in the store");
});

test("a lost GPU is told of, and the others go on", { skip }, async (t) => {
  const gpus = driver(t);
  const two = `${kOneGpu}1 uuid GPU-bb\n1 temp 50\n`.replace("gpus 1", "gpus 2");
  gpus.play(two);
  const quarterdeck = await startWith(t, gpus.library, gpus.env);
  await until(async () => (await page(quarterdeck)).includes("GPU-bb"), "both GPUs");
  gpus.play(`${two}1 xid 79\n1 fails * 15\n`);
  const text = await page(quarterdeck);
  assert.match(text, /DCGM_FI_DEV_GPU_TEMP\{[^\n]*GPU-aa/);
  assert.doesNotMatch(text, /DCGM_FI_DEV_GPU_TEMP\{[^\n]*GPU-bb/);
  assert.match(text, /DCGM_FI_DEV_XID_ERRORS\{[^\n]*GPU-bb[^\n]*err_msg="GPU has fallen off the bus"[^\n]*\} 79\n/);
  await until(() => quarterdeck.logged("GPU 1 (GPU-bb) cannot be reached").length > 0, "a line of the log");
});

test("without a driver there is no collector, unless one is asked for", async (t) => {
  const nowhere = path.join(tmpdir(), "qd-no-driver-here", "libnvidia-ml.so.1");
  const quarterdeck = await startWith(t, nowhere);
  await until(() => quarterdeck.logged("GPUs are not measured").length > 0, "a line of the log");
  const absent = await quarterdeck.get("/exporters/dcgm/metrics");
  assert.equal(absent.status, 200);
  assert.equal(absent.text, "# nothing is watched that the collector dcgm measures\n");

  const wanted = await startWith(t, nowhere, {}, ["--set", "observe.gpu.enabled=on"]);
  const refused = await wanted.get("/exporters/dcgm/metrics");
  assert.equal(refused.status, 404);
  assert.match(refused.text, /there is no GPU driver: .*qd-no-driver-here/);

  const off = await startWith(t, nowhere, {}, ["--set", "observe.gpu.enabled=off"]);
  await sleep(500);
  assert.equal(off.logged("GPU").length, 0);
});

test("a driver that hangs disturbs nobody, not even the end", { skip }, async (t) => {
  const gpus = driver(t);
  gpus.play(`${kOneGpu}hang nvmlDeviceGetPowerUsage 0\n`);
  atEnd(t, () => gpus.play("gpus 0\n"));
  const quarterdeck = await startWith(t, gpus.library, gpus.env, ["--set", "observe.interval=1s"]);
  await until(() => quarterdeck.logged("nvmlDeviceGetPowerUsage of GPU 0").length > 0, "a line of the log", 15_000);
  const refused = await quarterdeck.get("/exporters/dcgm/metrics");
  assert.ok(refused.status >= 500, `${refused.status} ${refused.text}`);
  assert.match(refused.text, /nvmlDeviceGetPowerUsage of GPU 0/);
  assert.equal((await quarterdeck.get("/exporters/node/metrics")).status, 200);
  const begun = Date.now();
  const { code } = await quarterdeck.stop();
  assert.equal(code, 0);
  assert.ok(Date.now() - begun < 12_000, `it took ${Date.now() - begun} ms to stop`);
});

test("a driver that hangs while it is loaded does not keep the program from ending", async (t) => {
  // Opening a pipe that nobody writes to waits, and the loader's lock is held meanwhile.
  const pipe = path.join(scratch(t), "libnvidia-ml.so.1");
  execFileSync("mkfifo", [pipe]);
  const quarterdeck = await startWith(t, pipe, {}, ["--set", "observe.gpu.enabled=on"]);
  await until(() => quarterdeck.logged("dlopen").length > 0, "a line of the log", 15_000);
  const begun = Date.now();
  const { code } = await quarterdeck.stop();
  assert.equal(code, 0);
  assert.ok(Date.now() - begun < 12_000, `it took ${Date.now() - begun} ms to stop`);
});

const noGpu = () => {
  const lacking = missing("nvidia-smi", "python3");
  if (lacking) return lacking;
  try {
    return execFileSync("nvidia-smi", ["-L"], { encoding: "utf8" }).startsWith("GPU ") ? false : "there is no GPU";
  } catch (error) {
    return `nvidia-smi fails: ${error.message}`;
  }
};

/** What nvidia-smi says of GPU 0. */
function asked(fields) {
  const args = [`--query-gpu=${fields.join(",")}`, "--format=csv,noheader,nounits", "--id=0"];
  const values = execFileSync("nvidia-smi", args, { encoding: "utf8" }).trim().split(", ");
  return Object.fromEntries(fields.map((field, i) => [field, values[i]]));
}

// Fields of nvidia-smi, and how far apart two readings of a GPU at steady work may be.
const kFigures = [
  ["temperature.gpu", "DCGM_FI_DEV_GPU_TEMP", 5],
  ["temperature.memory", "DCGM_FI_DEV_MEMORY_TEMP", 5],
  ["power.draw", "DCGM_FI_DEV_POWER_USAGE", 60],
  ["clocks.sm", "DCGM_FI_DEV_SM_CLOCK", 200],
  ["clocks.mem", "DCGM_FI_DEV_MEM_CLOCK", 1],
  ["memory.used", "DCGM_FI_DEV_FB_USED", 2],
  ["memory.free", "DCGM_FI_DEV_FB_FREE", 2],
  ["memory.reserved", "DCGM_FI_DEV_FB_RESERVED", 2],
  ["utilization.gpu", "DCGM_FI_DEV_GPU_UTIL", 10],
  ["utilization.memory", "DCGM_FI_DEV_MEM_COPY_UTIL", 20],
  ["utilization.encoder", "DCGM_FI_DEV_ENC_UTIL", 0],
  ["utilization.decoder", "DCGM_FI_DEV_DEC_UTIL", 0],
  ["ecc.errors.corrected.volatile.total", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 0],
  ["ecc.errors.uncorrected.volatile.total", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 0],
  ["ecc.errors.corrected.aggregate.total", "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", 0],
  ["ecc.errors.uncorrected.aggregate.total", "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", 0],
  ["remapped_rows.correctable", "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 0],
  ["remapped_rows.uncorrectable", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 0],
];

test("a real GPU at work is told as nvidia-smi tells it", { skip: noGpu() }, async (t) => {
  const work = startProgram(t, "python3", [path.join(root, "tests/e2e/gpu_load.py")]);
  await until(() => work.log.includes("ready"), "work on the GPU", 60_000);
  const quarterdeck = await start(t, { args: ["--set", "observe.interval=1s"] });
  const figure = (now, name) => now.list.find((one) => one.name === name && one.labels.gpu === "0")?.value;
  const pid = String(work.child.pid);
  await until(async () => figure(parseText(await page(quarterdeck)), "DCGM_FI_DEV_GPU_UTIL") > 50, "use of the GPU");
  await sleep(3000); // until clocks and power have settled

  const theirs = asked([...kFigures.map(([field]) => field), "uuid", "name", "driver_version", "pci.bus_id"]);
  const text = await page(quarterdeck);
  const ours = parseText(text);
  t.diagnostic(text);
  t.diagnostic(JSON.stringify(theirs));
  for (const [field, name, apart] of kFigures) {
    const value = figure(ours, name);
    if (!/^[\d.]+$/.test(theirs[field])) {
      t.diagnostic(`nvidia-smi has no ${field} ("${theirs[field]}"), and we say ${value}`);
      continue;
    }
    assert.ok(Math.abs(value - Number(theirs[field])) <= apart, `${name}: ${value}, and ${field} is ${theirs[field]}`);
  }
  const { labels } = ours.list.find((one) => one.name === "DCGM_FI_DEV_GPU_TEMP");
  assert.equal(labels.UUID, theirs.uuid);
  assert.equal(labels.modelName, theirs.name);
  assert.equal(labels.DCGM_FI_DRIVER_VERSION, theirs.driver_version);
  assert.equal(labels.pci_bus_id.toLowerCase(), theirs["pci.bus_id"].toLowerCase());

  const process = ours.list.find((one) => one.name === "DCGM_EXP_PROCESS_FB_USED" && one.labels.pid === pid);
  assert.ok(process?.value >= 512, `the process ${pid} and its memory: ${JSON.stringify(process)}`);
  assert.match(process.labels.process, /^python3/);
  assert.ok(figure(ours, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION") > 0);
  assert.equal(figure(ours, "DCGM_FI_DEV_XID_ERRORS"), 0);
  // Performance counters are there from Hopper on; the work is writing to memory.
  const active = figure(ours, "DCGM_FI_PROF_DRAM_ACTIVE");
  if (active === undefined) t.diagnostic("this GPU or its driver has no performance counters");
  else assert.ok(active > 0.3 && active <= 1 && figure(ours, "DCGM_FI_PROF_GR_ENGINE_ACTIVE") > 0.5, text);

  work.child.stdin.end();
  assert.equal(await work.closed, 0, work.log);
  await until(async () => {
    const now = parseText(await page(quarterdeck));
    return !now.list.some((one) => one.labels.pid === pid) && figure(now, "DCGM_FI_DEV_GPU_UTIL") < 10;
  }, "the end of the work");
  assert.deepEqual(
    quarterdeck.logged("GPU").filter((line) => line.level !== "info"),
    [],
  );
});
