// The walls between the folders of src/: who may import whom, and why.
import type { SourceFile } from "../source-files.ts";
import type { Finding } from "./finding.ts";
import { type Import, importsOf } from "./imports.ts";

interface LayerRule {
  /** A folder of src/ (`drivers/*` stands for each of its folders), or `main`: src/main.ts. */
  readonly layer: string;
  /** Beginnings of paths, from src/. A layer may always import itself. */
  readonly mayImport: readonly string[];
  /** As `mayImport`, for types alone: they are gone when the program runs. */
  readonly mayImportTypes?: readonly string[];
  /** Node's modules; "any" allows npm packages of `dependencies` too. */
  readonly modules: "any" | readonly string[];
  readonly why: string;
}

const onlyCore = {
  mayImport: ["core/"],
  modules: "any",
  why: "layers do not know each other: they meet in daemon/, through contracts of core/",
} as const;

export const layerRules: readonly LayerRule[] = [
  {
    layer: "core",
    mayImport: [],
    modules: [],
    why: "a contract that pulls in a library is that library's contract",
  },
  {
    layer: "conformance",
    mayImport: ["core/"],
    modules: ["node:assert", "node:assert/strict"],
    why: "the checks must run in tests, in the command line and on a stranger's machine",
  },
  {
    layer: "drivers/*",
    mayImport: ["core/", "remote/"],
    modules: "any",
    why: "drivers never know each other: a shared need becomes a contract in core/ or a plain copy",
  },
  {
    layer: "drivers",
    mayImport: ["core/", "drivers/", "remote/"],
    modules: [],
    why: "drivers/all.ts only lists the drivers",
  },
  { layer: "remote", ...onlyCore },
  { layer: "secrets", ...onlyCore },
  { layer: "layers", ...onlyCore },
  { layer: "engine", ...onlyCore },
  { layer: "plugins", ...onlyCore },
  { layer: "backup", ...onlyCore },
  { layer: "state", ...onlyCore },
  { layer: "cluster", ...onlyCore },
  { layer: "containers", ...onlyCore },
  { layer: "host", ...onlyCore },
  { layer: "http", ...onlyCore },
  { layer: "install", ...onlyCore },
  { layer: "doctor", ...onlyCore },
  {
    layer: "api",
    mayImport: ["core/", "engine/"],
    mayImportTypes: ["http/"],
    modules: "any",
    why: "the API translates to the engine and decides nothing; which server carries it is open",
  },
  {
    layer: "cli",
    mayImport: ["core/"],
    modules: "any",
    why: "never the engine: whatever the command line can do, the API can do",
  },
  {
    layer: "daemon",
    mayImport: [""],
    modules: "any",
    why: "the daemon puts all parts together",
  },
  {
    layer: "main",
    mayImport: ["cli/", "daemon/"],
    modules: "any",
    why: "src/main.ts only chooses between command line and daemon",
  },
];

export interface Repository {
  readonly files: readonly SourceFile[];
  /** The names in `dependencies` of package.json: all foreign code that runs as root. */
  readonly dependencies: readonly string[];
}

/** Every import that goes through a wall. Tests may import what they like. */
export function brokenLayers({ files, dependencies }: Repository): readonly Finding[] {
  return files
    .filter(({ path }) => path.startsWith("src/") && !path.endsWith(".test.ts"))
    .flatMap((file) => {
      const layer = layerOf(file.path);
      const rule = layerRules.find(({ layer: name }) => name === layer.replace(/\/.*/, "/*"));
      if (rule === undefined) {
        return [{ path: file.path, message: `src/${layer} has no line in tools/tidy/layers.ts` }];
      }
      return importsOf(file)
        .filter((one) => !isAllowed(one, { layer, rule, dependencies }))
        .map(({ target, line }) => ({
          path: file.path,
          line,
          message: `${layer} must not import ${target}: ${reason(target, rule)}`,
        }));
    });
}

/** `core`, `drivers/local`, `drivers` for src/drivers/all.ts, `main` for src/main.ts. */
function layerOf(path: string): string {
  const folders = path.split("/").slice(1, -1);
  if (folders.length === 0) return path === "src/main.ts" ? "main" : path.slice("src/".length);
  return folders[0] === "drivers" ? folders.slice(0, 2).join("/") : (folders[0] ?? "");
}

interface Wall {
  readonly layer: string;
  readonly rule: LayerRule;
  readonly dependencies: readonly string[];
}

function isAllowed({ target, isRelative, isTypeOnly }: Import, wall: Wall): boolean {
  const { layer, rule, dependencies } = wall;
  if (isRelative) {
    if (!target.startsWith("src/")) return false;
    const inside = target.slice("src/".length);
    const allowed = [...rule.mayImport, ...(isTypeOnly ? (rule.mayImportTypes ?? []) : [])];
    return inside.startsWith(`${layer}/`) || allowed.some((start) => inside.startsWith(start));
  }
  if (rule.modules !== "any") return rule.modules.includes(target);
  if (/^(node|bun):|^bun$/.test(target)) return true;
  return dependencies.some((name) => target === name || target.startsWith(`${name}/`));
}

function reason(target: string, rule: LayerRule): string {
  const isPackage = !/^(src\/|node:|bun:|\.)/.test(target);
  if (isPackage && rule.modules === "any") return "it is not in `dependencies` of package.json";
  return rule.why;
}
