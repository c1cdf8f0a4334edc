// `holdfast adopt` and `holdfast release`: one line per volume, all failures at the end.
import type { Invocation } from "./command.ts";
import { exitOfKind, ownFailure } from "./exit-codes.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { sortNaturally } from "./natural-order.ts";
import { SeveralFailures } from "./several-failures.ts";
import { tableText } from "./table.ts";

/** A volume of the plan, as the daemon's contract has it. */
interface Planned {
  readonly name: string;
  readonly usedBy: readonly string[];
  readonly action: "adopt" | "none";
  readonly reason: string | null;
}

const path = "/holdfast/v1/adoptions";

export async function adoptVolumes(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const isAll = options.flag("all");
  if (isAll === positional.length > 0) {
    throw new CliFailure("either names of volumes or --all is needed", exitOfKind.invalid);
  }
  const query = engineQuery(invocation);
  if (!isAll && !options.flag("dry-run")) return await adoptEach(positional, invocation);
  const plan = await client
    .json<{ readonly volumes: readonly Planned[] }>({ method: "GET", path: `${path}${query}` })
    .catch(raise);
  const volumes = isAll
    ? sortNaturally(plan.volumes, ({ name }) => name)
    : positional.map((name) => plannedOf(name, plan.volumes));
  if (options.flag("dry-run")) {
    await terminal.out(
      options.flag("json")
        ? volumes.map((volume) => `${JSON.stringify(volume)}\n`).join("")
        : renderPlan(volumes),
    );
    return 0;
  }
  const names = volumes.filter(({ action }) => action === "adopt").map(({ name }) => name);
  if (!(await isWanted(names, invocation))) return 0;
  for (const { name, reason, action } of volumes) {
    if (action === "none") await terminal.err(`left alone: ${name}: ${reason}\n`);
  }
  return await adoptEach(names, invocation);
}

export async function releaseVolumes(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const query = engineQuery(invocation);
  return await each(positional, invocation, async (name) => {
    await client.send({ method: "DELETE", path: `${path}/${encodeURIComponent(name)}${query}` });
    return options.flag("json") ? JSON.stringify({ name, released: true }) : name;
  });
}

async function adoptEach(names: readonly string[], invocation: Invocation): Promise<number> {
  const { options, client } = invocation;
  const query = engineQuery(invocation);
  return await each(names, invocation, async (name) => {
    const request = { method: "PUT", path: `${path}/${encodeURIComponent(name)}${query}` } as const;
    const volume = await client.json<object>(request);
    return options.flag("json") ? JSON.stringify(volume) : name;
  });
}

/** Does what can be done; a line for each that is done, as it is done. */
async function each(
  names: readonly string[],
  { terminal }: Invocation,
  work: (name: string) => Promise<string>,
): Promise<number> {
  const failures: CliFailure[] = [];
  for (const name of names) {
    try {
      await terminal.out(`${await work(name)}\n`);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      failures.push(ownFailure(error));
      if (error instanceof DaemonUnreachable) break;
    }
  }
  const [failure] = failures;
  if (failure !== undefined) throw failures.length === 1 ? failure : new SeveralFailures(failures);
  return 0;
}

function raise(error: unknown): never {
  throw error instanceof CliFailure ? ownFailure(error) : error;
}

/** The daemon knows engines by their keys. */
function engineQuery({ options }: Invocation): string {
  const engine = options.text("engine") ?? "";
  const key = engine.replace(/^unix:\/\//, "docker:");
  if (key.startsWith("docker:/")) return `?engine=${encodeURIComponent(key)}`;
  throw new CliFailure(
    `--engine ${engine}: the Unix socket of a Docker Engine is needed, as in ` +
      "unix:///run/docker.sock",
    exitOfKind.invalid,
  );
}

function plannedOf(name: string, volumes: readonly Planned[]): Planned {
  const found = volumes.find((volume) => volume.name === name);
  const reason = "the Docker Engine has no local volume of this name";
  return found ?? { name, usedBy: [], action: "none", reason };
}

function renderPlan(volumes: readonly Planned[]): string {
  const rows = volumes.map(({ name, usedBy, action, reason }) => [
    name,
    usedBy.length === 0 ? "-" : usedBy.join(", "),
    action,
    reason ?? "-",
  ]);
  return tableText([["NAME", "USED BY", "ACTION", "WHY NOT"], ...rows]);
}

async function isWanted(
  names: readonly string[],
  { options, terminal }: Invocation,
): Promise<boolean> {
  if (options.flag("force") || names.length === 0) return true;
  await terminal.out(
    `This will bring ${names.length} local volumes of the Docker Engine under Holdfast: ` +
      `${names.join(", ")}.\nAre you sure you want to continue? [y/N] `,
  );
  const answer = (await terminal.readLine()) ?? "";
  return answer.trim().toLowerCase() === "y";
}
