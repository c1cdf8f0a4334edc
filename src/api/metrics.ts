// The metrics as Prometheus reads them. No name of a volume is a label: the number of series must
// not grow with the number of volumes.
import { Counter, Gauge, Registry } from "prom-client";
import type { PluginStatus } from "../core/plugin.ts";
import type { HistoryAction } from "../core/state-store.ts";
import type { Engine } from "../engine/engine.ts";
import type { GuardFigures } from "../engine/guard/write-guard.ts";
import { type Latency, latencySeconds } from "../engine/health/health-figures.ts";
import type { Counts } from "./counts.ts";
import type { DaemonFacts } from "./facts.ts";
import { storageStates, volumeState, volumeStates } from "./volume-state.ts";

type Labels = Readonly<Record<string, string>>;
type Changes = ReadonlyMap<HistoryAction, number>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: "gauge" | "counter";
  readonly labels?: readonly string[];
  /** Looked at for each answer. */
  readonly samples: () => readonly Sample[];
}

export interface MetricsParts {
  readonly engine: Engine;
  readonly facts: DaemonFacts;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #refresh: readonly (() => void)[];
  readonly #counts: Counts;
  readonly #engine: Engine;
  #changes: Changes = new Map();

  constructor(parts: MetricsParts, counts: Counts) {
    const metrics = [
      ...volumeMetrics(parts),
      ...trashMetrics(parts),
      ...pluginMetrics(parts),
      ...storageMetrics(parts),
      ...lockMetrics(parts),
      ...guardMetrics(parts),
      ...countMetrics(counts, () => this.#changes),
      buildMetric(parts),
    ];
    this.#counts = counts;
    this.#refresh = metrics.map((metric) => this.#register(metric));
    this.#engine = parts.engine;
  }

  /** The text in the exposition format, and its content type. O(volumes + holders). */
  async render(): Promise<{ readonly type: string; readonly text: string }> {
    this.#changes = await this.#counts.changes();
    // All in one turn, so that two who ask at once do not mix.
    for (const refresh of this.#refresh) refresh();
    const latencies = latencyText(this.#engine.health.figures.latencies);
    const text = `${await this.#registry.metrics()}\n${latencies}`;
    return { type: this.#registry.contentType, text };
  }

  #register({ name, help, kind, labels = [], samples }: Metric): () => void {
    const registers = [this.#registry];
    const common = { name, help, labelNames: [...labels], registers };
    if (kind === "counter") {
      const counter = new Counter(common);
      return () => {
        counter.reset();
        for (const [values, count] of samples()) counter.inc({ ...values }, count);
      };
    }
    const gauge = new Gauge(common);
    return () => {
      gauge.reset();
      const found = samples();
      // One without labels would be 0 where there is nothing to say.
      if (found.length === 0 && labels.length === 0) gauge.remove();
      for (const [values, value] of found) gauge.set({ ...values }, value);
    };
  }
}

function one(value: number): readonly Sample[] {
  return [[{}, value]];
}

function volumeMetrics({ engine }: MetricsParts): readonly Metric[] {
  const { state, volumes } = engine;
  const byDriver = (): readonly Sample[] => {
    const found = new Map(engine.drivers.names().map((driver) => [driver, 0]));
    state.read((view) => {
      for (const { driver } of view.volumes()) found.set(driver, (found.get(driver) ?? 0) + 1);
    });
    return [...found].map(([driver, count]) => [{ driver }, count]);
  };
  const byState = (): readonly Sample[] => {
    const found = new Map<string, number>(volumeStates.map((word) => [word, 0]));
    state.read((view) => {
      for (const entry of view.volumes()) {
        const word = volumeState(engine, entry, volumes.holderCount(entry, view));
        found.set(word, (found.get(word) ?? 0) + 1);
      }
    });
    return [...found].map(([word, count]) => [{ state: word }, count]);
  };
  const sum = (of: "holders" | "protected"): readonly Sample[] =>
    state.read((view) => {
      let total = 0;
      for (const entry of view.volumes()) {
        if (of === "holders") total += volumes.holderCount(entry, view);
        else if (entry.protection !== null) total += 1;
      }
      return one(total);
    });
  return [
    gauge("holdfast_volumes", "Volumes that exist.", byDriver, ["driver"]),
    gauge("holdfast_volume_state", "Volumes by what they are doing.", byState, ["state"]),
    gauge("holdfast_volume_holders", "Containers and clients that have a volume.", () =>
      sum("holders"),
    ),
    gauge("holdfast_protected_volumes", "Volumes that must not be removed.", () =>
      sum("protected"),
    ),
  ];
}

function trashMetrics({ engine }: MetricsParts): readonly Metric[] {
  const { trash } = engine;
  const byPhase = (): readonly Sample[] => {
    const { entryCount, purgingCount } = trash.totals();
    return [
      [{ phase: "kept" }, entryCount - purgingCount],
      [{ phase: "purging" }, purgingCount],
    ];
  };
  return [
    gauge("holdfast_trash_entries", "Removed volumes whose data is there.", byPhase, ["phase"]),
    gauge("holdfast_trash_bytes", "Bytes in the trash, as far as they are measured.", () =>
      one(trash.totals().knownBytes),
    ),
    gauge("holdfast_trash_unmeasured_entries", "Removed volumes of unknown size.", () =>
      one(trash.totals().unmeasuredCount),
    ),
    gauge("holdfast_trash_budget_bytes", "Bytes beyond which the oldest are evicted.", () => {
      const { budgetBytes } = trash.totals();
      return budgetBytes === null ? [] : one(budgetBytes);
    }),
  ];
}

/** Plugins are few, and each has a name that somebody chose. */
function pluginMetrics({ engine }: MetricsParts): readonly Metric[] {
  const { plugins } = engine;
  const each = (of: (status: PluginStatus) => number) => (): readonly Sample[] =>
    plugins
      .ofVolumes()
      .map(({ status }) => [{ plugin: status.name, kind: status.kind }, of(status)]);
  const labels = ["plugin", "kind"];
  return [
    gauge(
      "holdfast_plugin_up",
      "Whether a volume plugin answers.",
      each(({ state }) => (state === "ready" ? 1 : 0)),
      labels,
    ),
    gauge(
      "holdfast_plugin_restarts",
      "How often a plugin was started again since it last ran for a while.",
      each(({ restartCount }) => restartCount),
      labels,
    ),
  ];
}

/** By driver and not by volume or server: those may be many. */
function storageMetrics({ engine }: MetricsParts): readonly Metric[] {
  const { health } = engine;
  const nested = (all: ReadonlyMap<string, ReadonlyMap<string, number>>): readonly Sample[] =>
    [...all].flatMap(([driver, byState]) =>
      [...byState].map(([state, count]): Sample => [{ driver, state }, count]),
    );
  const by = ["driver", "state"];
  return [
    gauge(
      "holdfast_storage_state",
      "Volumes on storage that may fall silent, by its state.",
      () => nested(storageCounts(engine)),
      by,
    ),
    counter(
      "holdfast_storage_checks_total",
      "Looks at such storage, by what was answered.",
      () => nested(health.figures.answers),
      by,
    ),
  ];
}

function lockMetrics({ engine: { locks } }: MetricsParts): readonly Metric[] {
  const { figures } = locks;
  return [
    gauge("holdfast_locks_held", "Locks that are held.", () => one(locks.heldCount)),
    gauge("holdfast_locks_waiting", "Those who wait for a lock.", () => one(locks.waitingCount)),
    counter("holdfast_lock_grants_total", "Locks that were given.", () => one(figures.grantCount)),
    counter("holdfast_lock_wait_seconds_total", "How long those waited who got one.", () =>
      one(figures.waitedSeconds),
    ),
    counter(
      "holdfast_lock_losses_total",
      "Locks that ended before their holder let go of them.",
      () => [
        [{ reason: "expired" }, figures.expiredCount],
        [{ reason: "stolen" }, figures.stolenCount],
        [{ reason: "holder ended" }, figures.bondEndCount],
      ],
      ["reason"],
    ),
  ];
}

/** Writers of one file: what is seen of them, and how often that was not all. */
function guardMetrics({ engine: { writeGuard } }: MetricsParts): readonly Metric[] {
  const figure = (of: keyof GuardFigures) => () => one(writeGuard.figures[of]);
  return [
    counter(
      "holdfast_write_conflicts_total",
      "Reports of two containers that wrote one file at nearly the same time.",
      figure("conflicts"),
    ),
    counter(
      "holdfast_write_conflicts_unreported_total",
      "Such conflicts beyond what is reported of a volume in an hour.",
      figure("unreported"),
    ),
    counter(
      "holdfast_write_gaps_total",
      "How often some writes of containers were not seen.",
      figure("gaps"),
    ),
    gauge(
      "holdfast_watched_mounts",
      "Mounts of containers whose writes are watched.",
      figure("watched"),
    ),
  ];
}

/**
 * A histogram in the exposition format: prom-client's own can only be observed, and is not loaded
 * before somebody asks for metrics. Names of drivers need no escaping.
 */
function latencyText(latencies: ReadonlyMap<string, Latency>): string {
  const name = "holdfast_storage_check_seconds";
  const lines = [
    `# HELP ${name} How long storage that may fall silent took to answer.`,
    `# TYPE ${name} histogram`,
  ];
  for (const [driver, { counts, count, sumSeconds }] of latencies) {
    const label = `driver="${driver}"`;
    for (const [index, end] of latencySeconds.entries()) {
      lines.push(`${name}_bucket{le="${end}",${label}} ${counts[index] ?? 0}`);
    }
    lines.push(`${name}_bucket{le="+Inf",${label}} ${count}`);
    lines.push(`${name}_sum{${label}} ${sumSeconds}`, `${name}_count{${label}} ${count}`);
  }
  return `${lines.join("\n")}\n`;
}

/** With a zero for each state that no volume is in: what is not there cannot be alarmed at. */
function storageCounts({ health }: Engine): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const zeros = storageStates.map((state) => [state, 0] as const);
  return new Map(
    [...health.counts()].map(([driver, own]) => [driver, new Map([...zeros, ...own])]),
  );
}

function countMetrics(counts: Counts, changes: () => Changes): readonly Metric[] {
  const done = (action: "restore" | "purge" | "evict") => () => one(changes().get(action) ?? 0);
  return [
    counter(
      "holdfast_removals_total",
      "Volumes that were removed.",
      () =>
        (["remove", "prune"] as const).map((action) => [{ action }, changes().get(action) ?? 0]),
      ["action"],
    ),
    counter("holdfast_restores_total", "Volumes that came back.", done("restore")),
    counter("holdfast_purges_total", "Removed volumes that were given up.", done("purge")),
    counter("holdfast_evictions_total", "Those given up for their space.", done("evict")),
    counter(
      "holdfast_errors_total",
      "Refusals and failures that were answered.",
      () => [...counts.errors].map(([code, count]) => [{ code }, count]),
      ["code"],
    ),
  ];
}

function buildMetric({ facts }: MetricsParts): Metric {
  const { version, gitCommit: commit, runtime } = facts;
  const names = ["version", "commit", "runtime"];
  const sample: Sample = [{ version, commit, runtime }, 1];
  return gauge("holdfast_build_info", "What this daemon is.", () => [sample], names);
}

function gauge(
  name: string,
  help: string,
  samples: Metric["samples"],
  labels: readonly string[] = [],
): Metric {
  return { name, help, kind: "gauge", labels, samples };
}

function counter(
  name: string,
  help: string,
  samples: Metric["samples"],
  labels: readonly string[] = [],
): Metric {
  return { name, help, kind: "counter", labels, samples };
}
