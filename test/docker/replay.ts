// Replays a recorded session against a running engine and compares answer by answer.
import { Hand, isGenerated, recordedVolumes, volumeOf } from "./by-hand.ts";
import { type Comparable, comparable, differences, formErrors, renamed } from "./comparable.ts";
import { type Expectation, type Explained, isAbout } from "./explained.ts";
import { type Pair, pluginPairs } from "./plugin-bindings.ts";
import type { Exchange, RecordingName } from "./recordings.ts";
import { type Deed, type LeaveOut, ruleFor, type StandIn } from "./selection.ts";
import { exchange as send, type WireAnswer, type WireRequest } from "./wire.ts";

/** The engine that is spoken to. */
export interface Target {
  readonly socketPath: string;
  /** The directory that holds `volumes/`. */
  readonly root: string;
  /** What plugin exchanges need. */
  readonly plugins?: TargetPlugins;
}

export interface TargetPlugins {
  /** Places of this run, and the recorded ones that they stand for. */
  readonly places: readonly Pair[];
  /** What the CLI sends to make the plugin of a recorded name. */
  uploadOf(name: string): Uint8Array | undefined;
}

/** What is known about a recording beforehand. All of it is data. */
export interface ReplayPlan {
  readonly leaveOut: readonly LeaveOut[];
  readonly standIns: readonly StandIn[];
  readonly explained: readonly Explained[];
  readonly seededFrom: Partial<Readonly<Record<RecordingName, number>>>;
  /** What was done to plugins before a recording began. */
  readonly before?: Partial<Readonly<Record<RecordingName, readonly Deed[]>>>;
}

export interface Slow {
  readonly where: string;
  readonly tookMs: number;
}

export interface ReplayReport {
  readonly compared: number;
  /** Of the compared ones, those that are mere `_ping`s. */
  readonly pings: number;
  /** Counts by reason. */
  readonly leftOut: ReadonlyMap<string, number>;
  /** Differences that are explained, one line each. */
  readonly explained: readonly string[];
  /** Everything that is wrong: unexplained differences and rules that no longer apply. */
  readonly problems: readonly string[];
  /** What took longer than a second. */
  readonly slow: readonly Slow[];
}

const slowMs = 1_000;

/** Replays one recording from its start. The engine must be fresh: without any volume. */
export async function replay(
  exchanges: readonly Exchange[],
  target: Target,
  plan: ReplayPlan,
): Promise<ReplayReport> {
  const session = new Session(target, plan);
  await session.seed(exchanges);
  for (const exchange of exchanges) await session.play(exchange);
  return session.report(exchanges);
}

class Session {
  readonly #target: Target;
  readonly #plan: ReplayPlan;
  readonly #hand: Hand;
  /** Our generated names and places, and the recorded ones that they stand for. */
  readonly #names: Map<string, string>;
  readonly #leftOut = new Map<string, number>();
  readonly #used = new Set<LeaveOut | StandIn | Explained>();
  readonly #explained: string[] = [];
  readonly #problems: string[] = [];
  readonly #slow: Slow[] = [];
  #compared = 0;
  #pings = 0;

  constructor(target: Target, plan: ReplayPlan) {
    this.#target = target;
    this.#plan = plan;
    this.#hand = new Hand(target);
    this.#names = new Map(target.plugins?.places);
  }

  /** Makes the volumes and plugins that were there before the recording began. */
  async seed(exchanges: readonly Exchange[]): Promise<void> {
    const recording = exchanges[0]?.recording;
    if (recording === undefined) return;
    const index = this.#plan.seededFrom[recording];
    if (index !== undefined) await this.#hand.make(recordedVolumes(exchanges[index]));
    await this.#do(this.#plan.before?.[recording] ?? []);
  }

  async play(exchange: Exchange): Promise<void> {
    const rule = ruleFor(this.#plan.leaveOut, exchange);
    if (rule === undefined) {
      await this.#compare(exchange);
    } else {
      this.#used.add(rule);
      this.#leftOut.set(rule.reason, (this.#leftOut.get(rule.reason) ?? 0) + 1);
    }
    await this.#standIn(exchange);
  }

  async #standIn({ recording, index }: Exchange): Promise<void> {
    const standIn = this.#plan.standIns.find(
      (one) => one.recording === recording && one.index === index,
    );
    if (standIn === undefined) return;
    this.#used.add(standIn);
    await this.#hand.standIn(standIn);
    await this.#do(standIn.deeds ?? []);
    if (standIn.untilListed !== undefined) await this.#hand.untilListed(standIn.untilListed);
  }

  async #do(deeds: readonly Deed[]): Promise<void> {
    for (const { method, path, upload } of deeds) {
      const body = upload === undefined ? undefined : this.#target.plugins?.uploadOf(upload);
      const request = this.#toOurNames({ method, path });
      await this.#hand.do(body === undefined ? request : { ...request, body });
    }
  }

  report(exchanges: readonly Exchange[]): ReplayReport {
    const recording = exchanges[0]?.recording;
    const data = [...this.#plan.leaveOut, ...this.#plan.standIns, ...this.#plan.explained];
    for (const rule of data) {
      if (rule.recording !== recording || this.#used.has(rule)) continue;
      this.#problems.push(`${recording}: a rule that nothing uses: ${JSON.stringify(rule)}`);
    }
    return {
      compared: this.#compared,
      pings: this.#pings,
      leftOut: this.#leftOut,
      explained: this.#explained,
      problems: this.#problems,
      slow: this.#slow,
    };
  }

  async #compare(exchange: Exchange): Promise<void> {
    const { path } = exchange.request;
    const where = `${exchange.recording}#${exchange.index} ${exchange.request.method} ${path}`;
    const started = performance.now();
    const answer = await this.#send(this.#requestOf(exchange));
    const tookMs = Math.round(performance.now() - started);
    if (tookMs > slowMs) this.#slow.push({ where, tookMs });
    this.#compared += 1;
    if (path.endsWith("/_ping")) this.#pings += 1;
    this.#bind(exchange, answer);
    const recorded = comparable(exchange.answer, path);
    const reading = { root: this.#target.root, names: this.#names };
    const actual = comparable(answer, path, reading);
    const entry = this.#plan.explained.find((one) => isAbout(one, exchange));
    const expected = entry === undefined ? recorded : applied(entry.expect, recorded, actual);
    const found = [...differences(expected, actual), ...formErrors(answer)];
    this.#problems.push(...found.map((line) => `${where}: ${line}`));
    if (entry === undefined) return;
    this.#used.add(entry);
    if (differences(recorded, actual).length === 0) {
      this.#problems.push(`${where}: answers as recorded, but is listed as different`);
    } else if (found.length === 0) this.#explained.push(`${where}: ${reasonOf(entry)}`);
    if (entry.bringIntoStep === true) await this.#bringIntoStep(exchange, answer);
  }

  #requestOf({ request, isUpload }: Exchange): WireRequest {
    const renamed = this.#toOurNames(request);
    if (isUpload === undefined) return renamed;
    const name = new URLSearchParams(request.path.split("?")[1]).get("name") ?? "";
    const body = this.#target.plugins?.uploadOf(name);
    if (body === undefined) throw new Error(`nothing stands in for the archive of ${name}`);
    return { ...renamed, body };
  }

  /** A name that the engine chose stands for the one that it chose when it was recorded. */
  #bind(exchange: Exchange, answer: WireAnswer): void {
    if (/\/(?:plugins|volumes)/.test(exchange.request.path)) {
      const reading = { root: this.#target.root, names: this.#names };
      const rename = (name: string) => renamed(name, reading);
      const pairs = pluginPairs(exchange.answer.body, answer.body, rename);
      for (const [ours, recorded] of pairs) this.#names.set(ours, recorded);
    }
    if (exchange.answer.status !== 201 || answer.status !== 201) return;
    const [recorded, ours] = [nameIn(exchange.answer.body), nameIn(answer.body)];
    if (recorded === undefined || ours === undefined || recorded === ours) return;
    if (isGenerated(recorded) && isGenerated(ours)) this.#names.set(ours, recorded);
  }

  #toOurNames(request: WireRequest): WireRequest {
    const rename = (text: string) => {
      let result = text;
      for (const [ours, recorded] of this.#names) result = result.replaceAll(recorded, ours);
      return result;
    };
    const { body } = request;
    const moved = { ...request, path: rename(request.path) };
    return typeof body === "string" ? { ...moved, body: rename(body) } : moved;
  }

  /** Undoes what our answer did, and does what the recorded one had done. */
  async #bringIntoStep(exchange: Exchange, answer: WireAnswer): Promise<void> {
    const made = answer.status === 201 ? nameIn(answer.body) : undefined;
    if (made !== undefined) {
      await this.#hand.remove(made);
      this.#names.delete(made);
    }
    if (exchange.answer.status !== 201) return;
    const volume = volumeOf(JSON.parse(exchange.answer.body));
    if (volume !== undefined) await this.#hand.make([volume]);
  }

  #send(request: WireRequest): Promise<WireAnswer> {
    return send(this.#target.socketPath, request);
  }
}

/** The recorded answer, changed as an entry expects. */
export function applied(expect: Expectation, recorded: Comparable, actual: Comparable): Comparable {
  const isEmpty = expect.isEmpty === true;
  const gone = new Set([
    ...Object.keys(expect.headers ?? {}),
    ...(isEmpty ? ["content-type"] : []),
  ]);
  const kept = recorded.headers.filter((line) => !gone.has(line.slice(0, line.indexOf(":"))));
  const added = Object.entries(expect.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return {
    status: expect.status ?? recorded.status,
    headers: [...kept, ...added].sort(),
    framing: isEmpty ? "none" : recorded.framing,
    body: isEmpty ? "" : expectedBody(expect, recorded.body, actual.body),
  };
}

function expectedBody(expect: Expectation, recorded: string, actual: string): string {
  if (expect.message !== undefined) return JSON.stringify({ message: expect.message });
  if (expect.bodyLike !== undefined) {
    return expect.bodyLike.test(actual) ? actual : `what matches ${expect.bodyLike}`;
  }
  let body = recorded;
  for (const [from, to] of expect.replace ?? []) body = body.replaceAll(from, to);
  return body;
}

/** The reason of an entry, for the report. */
export function reasonOf(entry: Explained): string {
  return "quirk" in entry.why
    ? `1.41 quirk: ${entry.why.quirk}`
    : `docs/deviations.md, "${entry.why.deviation}"`;
}

function nameIn(body: string): string | undefined {
  return volumeOf(JSON.parse(body))?.name;
}
