// `holdfast volume prune --plan` and `--apply`: what would go and why, then exactly that.
import { measuringSilenceMs } from "./client.ts";
import type { Invocation } from "./command.ts";
import { humanSize, parseBytes, parseSpanMs } from "./human.ts";
import type { Options } from "./options.ts";
import { ask, badWords, ownPath } from "./own-client.ts";
import { alignColumns } from "./table.ts";
import { agoText } from "./trash.ts";
import { parseFilters } from "./volume.ts";
import { oneLine } from "./volume-history.ts";

interface Named {
  readonly name: string;
  readonly why: string;
}

/** A plan (src/api/holdfast/prune-plan-contract.ts). */
interface Plan {
  readonly id: string;
  readonly expiresAt: string;
  readonly volumes: readonly (Named & {
    readonly sizeBytes: number | null;
    readonly lastUsedAt: string | null;
    readonly lastHolder: string | null;
    readonly fate: string;
  })[];
  readonly kept: readonly Named[];
}

interface Result {
  readonly removed: readonly { readonly name: string; readonly sizeBytes: number | null }[];
  readonly skipped: readonly Named[];
}

/** Options that only a plan has. */
const questionOptions = ["unused-for", "larger", "driver", "project", "measure"];

/** Runs where `--plan` or `--apply` is given, or an option that wants the former. */
export async function planPrune(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const extra = questionOptions.find((name) => options.isGiven(name));
  if (options.isGiven("apply")) {
    const other = ["plan", "all", "filter"].find((name) => options.isGiven(name)) ?? extra;
    if (other === undefined) return await applyPlan(invocation);
    throw badWords(`--apply does what the plan says: --${other} belongs to --plan`);
  }
  if (!options.flag("plan")) throw badWords(`--${extra} needs --plan: it asks before it removes`);
  return await makePlan(invocation);
}

async function makePlan({ options, client, terminal }: Invocation): Promise<number> {
  const request = { method: "POST", path: ownPath(["prune-plans"]) } as const;
  const body = questionOf(options);
  const plan = await ask<Plan>(client, { ...request, body, silenceMs: measuringSilenceMs });
  const text = options.flag("json")
    ? `${JSON.stringify(plan)}\n`
    : renderPlan(plan, terminal.nowMs());
  await terminal.out(text);
  return 0;
}

async function applyPlan({ options, client, terminal }: Invocation): Promise<number> {
  const id = options.text("apply") ?? "";
  const path = ownPath(["prune-plans", id, "apply"]);
  const request = { method: "POST", path, silenceMs: measuringSilenceMs } as const;
  const result = await ask<Result>(client, request);
  if (options.flag("json")) {
    await terminal.out(`${JSON.stringify(result)}\n`);
    return 0;
  }
  await terminal.out(result.removed.map(({ name }) => `${name}\n`).join(""));
  const skipped = result.skipped.map(({ name, why }) => `left alone: ${name}: ${oneLine(why)}\n`);
  await terminal.err(skipped.join(""));
  return 0;
}

function questionOf(options: Options): object {
  const filters = parseFilters(options.all("filter"));
  const known = new Set(["all", "driver", "label", "label!"]);
  const odd = [...filters.keys()].find((key) => !known.has(key));
  if (odd !== undefined) throw badWords(`invalid filter '${odd}'`);
  const valuesOf = (key: string): string[] => [...(filters.get(key) ?? [])];
  const unusedForMs = parseSpanMs(options.text("unused-for") ?? "");
  const largerBytes = parseBytes(options.text("larger") ?? "");
  const projects = options.all("project");
  const saysAll = valuesOf("all").some((value) => ["1", "t", "true"].includes(value.toLowerCase()));
  const impliesAll = unusedForMs !== undefined || largerBytes !== undefined || projects.length > 0;
  return {
    all: options.flag("all") || saysAll || impliesAll,
    unusedForMs,
    largerBytes,
    drivers: [...options.all("driver"), ...valuesOf("driver")],
    projects,
    labels: valuesOf("label"),
    withoutLabels: valuesOf("label!"),
    measure: options.flag("measure") || largerBytes !== undefined,
  };
}

function renderPlan({ id, volumes, kept }: Plan, nowMs: number): string {
  const rows = volumes.map(({ name, sizeBytes, lastUsedAt, lastHolder, why }) => [
    name,
    sizeBytes === null ? "-" : humanSize(sizeBytes),
    lastUsedAt === null ? "never" : agoText(lastUsedAt, nowMs),
    lastHolder === null ? "-" : oneLine(lastHolder),
    oneLine(why),
  ]);
  const planned = table([["NAME", "SIZE", "LAST USED", "BY", "WHY"], ...rows]);
  const stays = kept.map(({ name, why }) => [name, oneLine(why)]);
  const rest = kept.length === 0 ? "" : `\n${table([["KEPT", "WHY"], ...stays])}`;
  if (volumes.length === 0)
    return `${kept.length === 0 ? "" : `${rest}\n`.slice(1)}Nothing to do.\n`;
  const known = volumes.flatMap(({ sizeBytes }) => sizeBytes ?? []);
  const unknown = volumes.length - known.length;
  const bytes = humanSize(known.reduce((sum, size) => sum + size, 0));
  const size = `${bytes}${unknown > 0 ? ` (${unknown} not measured)` : ""}`;
  const count = `${volumes.length} volume${volumes.length === 1 ? "" : "s"}`;
  return (
    `${planned}${rest}\n` +
    `Plan ${id}: ${count}, ${size}. Nothing was removed; within the hour: ` +
    `holdfast volume prune --apply ${id}\n`
  );
}

function table(lines: readonly (readonly string[])[]): string {
  return alignColumns(lines.map((cells) => `${cells.join("\t")}\n`).join(""));
}
