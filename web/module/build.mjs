/** `npm run module`: builds what `npm pack ./module` packs, from src/module.ts. */

import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { buildSync } from "esbuild";

buildSync({
  entryPoints: ["src/module.ts"],
  outfile: "module/ailsr.js",
  bundle: true,
  format: "esm",
  target: "es2022",
  external: ["onnxruntime-web"],
});
const types = mkdtempSync(join(tmpdir(), "ailsr-"));
const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--stripInternal"];
options.push("--rootDir", "src", "--outDir", types);
execFileSync("npx", ["tsc", ...options], { stdio: "inherit" });
copyFileSync(join(types, "module.d.ts"), "module/ailsr.d.ts");
copyFileSync("../LICENSE", "module/LICENSE");
rmSync(types, { recursive: true });
