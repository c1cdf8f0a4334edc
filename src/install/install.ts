// `holdfast install`: writes what is missing or old, and has systemd start it.
import { mkdirSync, realpathSync } from "node:fs";
import path from "node:path";
import { EngineError } from "../core/errors.ts";
import type { InstallRequest, StepReport } from "../core/installation.ts";
import { holdsDirectoryOf, isShared, mountOf } from "../core/mount-of.ts";
import { groupMembers, ownGroup, usualGroups } from "./groups.ts";
import { executablePath, textFiles, unitPath } from "./layout.ts";
import { type InstalledFile, readManifest, withoutBase, writeManifest } from "./manifest.ts";
import { baseOf, hasSystemd, type InstallParts, mustRun } from "./parts.ts";
import { attempt, type Content, hashOfContent, hashOfFile, putFile } from "./put-file.ts";
import { start } from "./systemd.ts";
import { unitNames } from "./units.ts";

interface WantedFile {
  readonly path: string;
  readonly content: Content;
  readonly mode: number;
  /** Replaced whatever it holds: to copy a newer one there by hand is an upgrade, no change. */
  readonly isOurs: boolean;
}

/** See core/installation.ts. Throws `install.impossible`, `install.failed`. */
export async function* install(
  request: InstallRequest,
  parts: InstallParts,
): AsyncGenerator<StepReport> {
  if (parts.executable === undefined) {
    throw new EngineError("install.impossible", "holdfast runs from its sources: nothing to copy");
  }
  const base = baseOf(request.destdir, parts);
  const before = readManifest(base);
  const group = usualGroups.find((name) => groupMembers(base, name) !== undefined);
  let madeGroup = before?.madeGroup ?? null;
  if (group === undefined && request.destdir === undefined) {
    const words = ["groupadd", "--system", ownGroup];
    if (request.isDryRun) yield { state: "planned", what: words.join(" ") };
    else yield await mustRun(parts, words);
    madeGroup = ownGroup;
  }
  if (!request.isDryRun && base !== "") {
    attempt(`making ${base}`, () => mkdirSync(base, { recursive: true }));
  }

  const values = { group: group ?? ownGroup, root: parts.root, texts: request.texts };
  const record = new Map(before?.files.map((file) => [file.path, file.sha256]));
  const directories = [...(before?.directories ?? [])];
  const changed = new Set<string>();
  for (const wanted of wantedFiles(parts.executable, values)) {
    const step = putWanted(wanted, { base, record, directories, request });
    if (step.state === "done") changed.add(wanted.path);
    if (step.state === "done") {
      // After every file: what an interrupted installation wrote can be taken back.
      const files: readonly InstalledFile[] = [...record].map(([file, sha256]) => ({
        path: file,
        sha256,
      }));
      const { version: holdfast } = parts;
      const manifest = { version: 1, holdfast, files, directories, madeGroup } as const;
      directories.push(...writeManifest(base, manifest));
    }
    yield step;
  }
  yield* advice(request, parts, changed);
}

function wantedFiles(executable: string, values: Parameters<typeof textFiles>[0]): WantedFile[] {
  return [
    { path: executablePath, content: { copyOf: executable }, mode: 0o755, isOurs: true },
    ...textFiles(values).map(({ path: file, text }) => ({
      ...{ path: file, content: { text }, mode: 0o644, isOurs: false },
    })),
  ];
}

interface Placing {
  readonly base: string;
  /** Hashes by path; what is written is put in. */
  readonly record: Map<string, string>;
  /** What is made is put in. */
  readonly directories: string[];
  readonly request: InstallRequest;
}

/** Writes one file, unless it is as wanted, or somebody else's. */
function putWanted(wanted: WantedFile, placing: Placing): StepReport {
  const { base, record, request } = placing;
  const file = path.join(base, wanted.path);
  const there = hashOfFile(file);
  const recorded = record.get(wanted.path);
  const hash = hashOfContent(wanted.content);
  if (there === hash && recorded === hash) return { state: "unchanged", what: file };
  if (isSameFile(file, wanted.content) && !request.isDryRun) {
    record.set(wanted.path, hash);
    return { state: "done", what: file, why: "it is this very program" };
  }
  const isForeign = there !== undefined && there !== recorded && there !== hash;
  if (isForeign && !wanted.isOurs && !request.isForced) {
    const who = recorded === undefined ? "was not written by an install" : "was changed by hand";
    return { state: "kept", what: file, why: `it ${who}; --force replaces it` };
  }
  if (request.isDryRun) return { state: "planned", what: file };
  const made = putFile(file, wanted.content, wanted.mode);
  placing.directories.push(...made.map((folder) => withoutBase(base, folder)));
  record.set(wanted.path, hash);
  return { state: "done", what: file };
}

function isSameFile(file: string, content: Content): boolean {
  if (!("copyOf" in content)) return false;
  try {
    return realpathSync(file) === realpathSync(content.copyOf);
  } catch {
    return false;
  }
}

/** Starts it where that can be done, and says what a person has to do where not. */
async function* advice(
  request: InstallRequest,
  parts: InstallParts,
  changed: ReadonlySet<string>,
): AsyncGenerator<StepReport> {
  if (request.destdir !== undefined) return;
  const mount = mountOf(parts.host.mounts(), holdsDirectoryOf(parts.root));
  if (mount !== undefined && !isShared(mount)) {
    yield {
      state: "warning",
      what: `the mount at ${mount.target} is not shared`,
      why:
        "an engine in a mount namespace of its own has to be started after the daemon, or after " +
        `mount --make-rshared ${mount.target}`,
    };
  }
  if (!hasSystemd(parts)) {
    const why = `nothing was started; start the daemon with: ${executablePath} daemon`;
    yield { state: "warning", what: "no systemd runs here", why };
    return;
  }
  if (request.isDryRun) {
    yield { state: "planned", what: "systemctl daemon-reload, enable, start" };
    return;
  }
  const units = new Set<string>(unitNames.filter((name) => changed.has(unitPath(name))));
  yield* start(parts, { units, hasNewExecutable: changed.has(executablePath) });
}
