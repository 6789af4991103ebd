// A Docker engine of a test's own, from Debian's docker.io, without networks, and an image of busybox.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { atEnd, scratch, sleep } from "./lib.mjs";

const kBusybox = "/usr/bin/busybox";
export const kImage = "qd-test:1";

/** Why no engine can be started here, or false. */
export function missingEngine() {
  if (process.getuid() !== 0) return "a Docker engine needs root";
  for (const program of ["dockerd", "docker", "containerd"]) {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore", env: { PATH: kPath } });
    } catch {
      return `${program} is not installed`;
    }
  }
  return existsSync(kBusybox) ? false : "busybox-static is not installed";
}

// Debian has the engine where only root's PATH looks.
const kPath = `${process.env.PATH}:/usr/sbin:/sbin`;

/** An engine of the test's own, without networks; gives null and says why where it cannot start. */
export async function startEngine(t) {
  const dir = scratch(t);
  const socket = path.join(dir, "docker.sock");
  const args = ["--host", `unix://${socket}`, "--data-root", `${dir}/data`, "--exec-root", `${dir}/exec`];
  args.push("--pidfile", `${dir}/docker.pid`, "--bridge", "none", "--iptables=false", "--ip6tables=false");
  const child = spawn("dockerd", args, { env: { ...process.env, PATH: kPath } });
  let log = "";
  child.stdout.on("data", (part) => (log += part));
  child.stderr.on("data", (part) => (log += part));
  const closed = new Promise((resolve) => child.on("close", resolve));
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await closed;
    // What a network namespace of the host leaves mounted would keep the directory from being removed.
    spawnSync("umount", ["-l", path.join(dir, "exec/netns/default")], { env: { PATH: kPath } });
  });
  const docker = (...command) =>
    execFileSync("docker", ["--host", `unix://${socket}`, ...command], {
      encoding: "utf8",
      env: { ...process.env, PATH: kPath },
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  for (let i = 0; i < 300; ++i) {
    if (child.exitCode !== null) break;
    try {
      docker("version");
      return { socket, docker, dir };
    } catch {
      await sleep(100);
    }
  }
  t.skip(`the Docker engine does not start here: ${log.trim().split("\n").at(-1)}`);
  return null;
}

/** Gives the engine kImage: busybox, and the `programs` (paths) with their libraries. False, and says why, where this
 * machine does not let the engine unpack it (in a chroot). */
export function importImage(t, { docker, dir }, programs = []) {
  const root = path.join(dir, "root");
  mkdirSync(path.join(root, "bin"), { recursive: true });
  mkdirSync(path.join(root, "tmp"));
  copyFileSync(kBusybox, path.join(root, "bin/busybox"));
  for (const program of programs) {
    const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/\S+(?= \()/g) ?? [];
    for (const file of [program, ...libraries]) {
      mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
      copyFileSync(file, path.join(root, file));
    }
  }
  execFileSync("chroot", [root, "/bin/busybox", "--install", "-s", "/bin"], { env: { PATH: kPath } });
  execFileSync("tar", ["-C", root, "-cf", path.join(dir, "image.tar"), "."]);
  try {
    docker("import", path.join(dir, "image.tar"), kImage);
    return true;
  } catch (error) {
    t.skip(`the Docker engine cannot unpack an image here: ${error.stderr.trim()}`);
    return false;
  }
}
