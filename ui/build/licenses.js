// A Vite plugin that writes dist/licenses.txt: the licence text of every package whose code ended up in the bundle. The
// MIT and ISC licences ask that their notice travels with the copies, and minifying drops comments.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export function packageFolder(moduleId) {
  const path = moduleId.replace(/^\0/, "").replaceAll("\\", "/").split("?")[0];
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
  return match ? match[1] : null;
}

function licenceOf(folder) {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying|notice)(\.|$)/i.test(name));
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : `Licence: ${about.license}`;
  return { title: `${about.name} ${about.version}`, text };
}

export function licenses() {
  return {
    name: "quarterdeck-licenses",
    apply: "build",
    generateBundle(_options, bundle) {
      const folders = new Set();
      for (const chunk of Object.values(bundle)) {
        for (const id of Object.keys(chunk.modules ?? {})) {
          const folder = packageFolder(id);
          if (folder && dirname(folder) !== folder) folders.add(folder);
        }
      }
      const parts = [...folders].map(licenceOf).sort((a, b) => a.title.localeCompare(b.title));
      const source = parts.map(({ title, text }) => `${title}\n${"-".repeat(title.length)}\n${text}\n`).join("\n\n");
      this.emitFile({ type: "asset", fileName: "licenses.txt", source });
    },
  };
}
