// A client of Docker's and Holdfast's routes for the crash tests: one request, one parsed answer.

/** How long an answer may take. No request of these tests waits for foreign storage. */
const answerTimeoutMs = 20_000;

export interface Answer {
  readonly status: number;
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown;
}

/** Docker's Volume object, as far as a crash could change it. */
export interface Volume {
  readonly Name: string;
  readonly CreatedAt: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Scope: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Options: Readonly<Record<string, string>> | null;
}

export class Client {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Rejects when the daemon ends before it has answered. */
  async send(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`http://localhost${path}`, {
      unix: this.#socketPath,
      method,
      signal: AbortSignal.timeout(answerTimeoutMs),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  /** Throws, with the answer, unless it has this status. */
  async expect(status: number, method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.send(method, path, body);
    if (answer.status === status) return answer.body;
    throw new UnexpectedAnswer(`${method} ${path}`, answer);
  }

  /** One volume as a list shows it: without the `Status` that tells who has it. */
  async volume(name: string): Promise<unknown> {
    const body = await this.expect(200, "GET", `/volumes/${name}`);
    const { Status: _, ...volume } = body as { readonly Status?: unknown }; // Docker's contract.
    return volume;
  }

  async volumes(): Promise<readonly Volume[]> {
    const body = await this.expect(200, "GET", "/volumes");
    return (body as { readonly Volumes: readonly Volume[] }).Volumes; // GET /volumes answers this.
  }

  /** What only Holdfast's own list tells of each volume, by its name. */
  async own(): Promise<ReadonlyMap<string, OwnVolume>> {
    const body = await this.expect(200, "GET", "/holdfast/v1/volumes");
    const { volumes } = body as { readonly volumes: readonly OwnVolume[] }; // Our own contract.
    return new Map(volumes.map((volume) => [volume.name, volume]));
  }

  /** What has been removed and still lies in the trash, what is being destroyed too. */
  async trash(): Promise<readonly TrashItem[]> {
    const body = await this.expect(200, "GET", "/holdfast/v1/trash");
    return (body as { readonly entries: readonly TrashItem[] }).entries; // Our own contract.
  }

  /** The sentences of GET /info. */
  async warnings(): Promise<readonly string[]> {
    const body = await this.expect(200, "GET", "/info");
    return (body as { readonly Warnings: readonly string[] | null }).Warnings ?? [];
  }
}

export interface OwnVolume {
  readonly name: string;
  readonly note: string | null;
  readonly protection: { readonly reason: string } | null;
  readonly aliases: readonly string[];
  readonly holders: readonly { readonly id: string }[];
  readonly state: string;
  /** Since when, where its plugin is what is wrong with it. */
  readonly stateSince: string | null;
  readonly stateReason: string | null;
}

export interface TrashItem {
  readonly id: string;
  readonly name: string;
  readonly phase: "kept" | "purging";
  /** null: not measured. */
  readonly sizeBytes: number | null;
  readonly createdAt: string;
  readonly aliases: readonly string[];
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly note: string | null;
}

/** The daemon lives and said something else: never excused by a crash. */
export class UnexpectedAnswer extends Error {
  readonly answer: Answer;

  constructor(request: string, answer: Answer) {
    super(`${request} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    this.name = "UnexpectedAnswer";
    this.answer = answer;
  }
}

/** Of Holdfast's own routes of one volume. */
export function ownPath(volume: string, rest = ""): string {
  return `/holdfast/v1/volumes/${volume}${rest}`;
}

export function holderPath(volume: string, holder: string): string {
  return `/holdfast/v1/volumes/${volume}/holders/${holder}`;
}
