// `holdfast volume prune`: asks, then removes what nobody uses, and says how much came free.
import { compareVersions, measuringSilenceMs } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { humanSize } from "./human.ts";
import { filterQuery, parseFilters } from "./volume.ts";

interface PruneReport {
  readonly VolumesDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}

/** What makes it a plan, whose options are rare. */
const planOptions = ["plan", "apply", "unused-for", "larger", "driver", "project", "measure"];

export async function pruneVolumes(invocation: Invocation): Promise<number> {
  const { options, client, terminal } = invocation;
  if (planOptions.some((name) => options.isGiven(name))) {
    return await (await import("./rarely.ts")).rarely.planPrune(invocation);
  }
  const knowsAnonymous = compareVersions(await client.negotiate(), "1.42") >= 0;
  const filters = [...options.all("filter")];
  if (options.flag("all")) {
    if (parseFilters(filters).has("all")) {
      throw new CliFailure("conflicting options: cannot specify both --all and --filter all=1");
    }
    filters.push("all=true");
  }
  if (!options.flag("force")) {
    const which = knowsAnonymous && !options.flag("all") ? "anonymous local" : "all local";
    await terminal.out(
      `WARNING! This will remove ${which} volumes not used by at least one container.\n` +
        "Are you sure you want to continue? [y/N] ",
    );
    const answer = (await terminal.readLine()) ?? "";
    if (answer.trim().toLowerCase() !== "y") return 0;
  }
  const query = filterQuery(filters);
  const path = query === "" ? "/volumes/prune" : `/volumes/prune?${query}`;
  const report = await client.json<PruneReport>({
    method: "POST",
    path,
    silenceMs: measuringSilenceMs,
  });
  const names = report.VolumesDeleted ?? [];
  if (options.flag("json")) {
    await terminal.out(`${JSON.stringify(report)}\n`);
    return 0;
  }
  const deleted = names.length > 0 ? `Deleted Volumes:\n${names.join("\n")}\n\n` : "";
  // Docker says nothing of space where no volume is named.
  const sizeBytes = names.length > 0 ? report.SpaceReclaimed : 0;
  await terminal.out(`${deleted}Total reclaimed space: ${humanSize(sizeBytes)}\n`);
  return 0;
}
