import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { licenses } from "./build/licenses.js";

const backend = process.env.QD_BACKEND ?? "http://127.0.0.1:9090";

export default defineConfig({
  plugins: [react(), licenses()],
  // The notices of licences are in licenses.txt.
  esbuild: { legalComments: "none" },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    host: "127.0.0.1",
    port: 5173,
    proxy: { "/api": backend, "/metrics": backend, "/-": backend },
  },
  preview: { host: "127.0.0.1", port: 4173, proxy: { "/api": backend, "/metrics": backend, "/-": backend } },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{js,jsx}", "build/**/*.test.js"],
    setupFiles: ["src/test/setup.js"],
    restoreMocks: true,
    // One copy of CodeMirror: its CommonJS and ES builds do not know each other's objects.
    server: { deps: { inline: [/@prometheus-io/, /@codemirror/, /@lezer/] } },
  },
});
