// Podman without a service: every question is a podman of its own, run as its users run theirs.
//
// Measured with 4.3: `ps` and `inspect` take some 40 ms each. A podman that meets a volume of ours
// sends /Plugin.Activate first, and goes on without an answer when nobody listens.
import {
  type ContainerEngine,
  type ContainerVolume,
  type EngineContainer,
  RESTART_SECONDS,
  STOP_SECONDS,
} from "../core/container-engine.ts";
import { type Host, PROGRAM_OUTPUT_BYTES_MAX } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import { field, fields, list } from "./json-values.ts";
import { keyOf, type PodmanWords } from "./podman-words.ts";
import { inTime } from "./unreachable.ts";

/** For the list of containers and all inspections together, in milliseconds. */
const LIST_MS_MAX = 10_000;

/** With `STOP_SECONDS` or `RESTART_SECONDS`, in milliseconds. */
const STOP_MS_MAX = 30_000;

/** So many have room in the output that is kept of a program, unless they have very long names. */
const INSPECTED_AT_ONCE = 50;

/** "stopping" has processes that may still write. */
const running: ReadonlySet<unknown> = new Set(["running", "paused", "stopping"]);

const gone = /no such container|no container with/i;

export interface PodmanEngineParts {
  readonly words: PodmanWords;
  /** The name by which podman knows our driver. */
  readonly driver: string;
  readonly host: Pick<Host, "run">;
}

export function podmanEngine(parts: PodmanEngineParts): ContainerEngine {
  const key = keyOf(parts.words);
  return {
    kind: "podman",
    key,
    isAskableInCalls: false,
    mountsOnceForAll: true,

    containers: (operation) =>
      inTime({ key, deadlineMs: LIST_MS_MAX }, operation, async (signal) => {
        const asked = { ...operation, signal };
        const { stdout } = await podman(parts, ["ps", "--all", "--quiet"], asked);
        if (isCut(stdout)) throw new Error("it has too many containers");
        const ids = stdout.split("\n").filter((line) => line !== "");
        const found: EngineContainer[] = [];
        for (let start = 0; start < ids.length; start += INSPECTED_AT_ONCE) {
          const some = ids.slice(start, start + INSPECTED_AT_ONCE);
          found.push(...(await inspect(parts, some, asked)));
        }
        return found;
      }),

    services: () => Promise.resolve([]),

    // It cannot be asked during its calls, which is when somebody wants to know.
    isBusyWith: () => Promise.resolve(true),

    stop: (container, operation) =>
      inTime({ key, deadlineMs: STOP_MS_MAX }, operation, async (signal) => {
        const words = ["stop", `--time=${STOP_SECONDS}`, container];
        await podman(parts, words, { ...operation, signal });
      }),

    restart: (container, operation) =>
      inTime({ key, deadlineMs: STOP_MS_MAX }, operation, async (signal) => {
        const words = ["restart", `--time=${RESTART_SECONDS}`, container];
        await podman(parts, words, { ...operation, signal });
      }),

    // After a boot systemd starts what is to run (podman-restart.service), in units of its own.
    startAgain: () => Promise.resolve(false),
  };
}

interface Printed {
  readonly stdout: string;
  readonly exitCode: number;
  readonly stderr: string;
}

/** Throws what podman printed when it failed for another reason than a container that is gone. */
async function podman(
  { words, host }: PodmanEngineParts,
  command: readonly string[],
  operation: Operation,
): Promise<Printed> {
  const args = [...words.flags, ...command];
  const printed =
    words.variables.length === 0
      ? await host.run("podman", args, operation)
      : await host.run("env", [...words.variables, "podman", ...args], operation);
  if (printed.exitCode === 0) return printed;
  const lines = printed.stderr.split("\n").filter((line) => line.startsWith("Error:"));
  if (lines.length > 0 && lines.every((line) => gone.test(line))) return printed;
  const lastWords = printed.stderr.trim().slice(-500);
  throw new Error(`podman ${command[0]} ended with ${printed.exitCode}: ${lastWords}`);
}

/** Those that went away in the meantime are left out. */
async function inspect(
  parts: PodmanEngineParts,
  ids: readonly string[],
  operation: Operation,
): Promise<readonly EngineContainer[]> {
  const command = ["container", "inspect", "--format", template(parts.driver), ...ids];
  const { stdout } = await podman(parts, command, operation);
  if (!isCut(stdout)) {
    return stdout
      .split("\n")
      .filter((line) => line.trim() !== "")
      .flatMap((line) => containerOf(JSON.parse(line)));
  }
  if (ids.length === 1) throw new Error(`it says too much about container ${ids[0]}`);
  const half = Math.ceil(ids.length / 2);
  const first = await inspect(parts, ids.slice(0, half), operation);
  return [...first, ...(await inspect(parts, ids.slice(half), operation))];
}

function isCut(output: string): boolean {
  return Buffer.byteLength(output) >= PROGRAM_OUTPUT_BYTES_MAX;
}

/** One line of JSON for each container, with nothing but what is needed. */
function template(driver: string): string {
  const label = (name: string) => `{{json (index .Config.Labels "${name}")}}`;
  return [
    `{"Id":{{json .ID}},"Name":{{json .Name}},"Status":{{json .State.Status}}`,
    `"Projects":[${label("com.docker.compose.project")},${label("io.podman.compose.project")}]`,
    `"Mounts":[{{range .Mounts}}{{if eq .Driver ${JSON.stringify(driver)}}}{{json .}},` +
      "{{end}}{{end}}null]}",
  ].join(",");
}

/** Nothing for a container without a volume of ours. */
function containerOf(one: unknown): readonly EngineContainer[] {
  const volumes = list(fields(one)["Mounts"]).flatMap(volumeOf);
  if (volumes.length === 0) return [];
  const project = list(fields(one)["Projects"]).find((name) => name !== "");
  return [
    {
      id: field(one, "Id"),
      name: field(one, "Name"),
      project: typeof project === "string" ? project : null,
      isRunning: running.has(fields(one)["Status"]),
      volumes,
    },
  ];
}

function volumeOf(mount: unknown): readonly ContainerVolume[] {
  const { Type: type, RW: isWritable } = fields(mount);
  if (type !== "volume") return [];
  return [
    {
      volume: field(mount, "Name"),
      destination: field(mount, "Destination"),
      isReadOnly: isWritable === false,
    },
  ];
}
