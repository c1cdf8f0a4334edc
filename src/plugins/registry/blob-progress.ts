// What a caller is told of one blob that is transferred: Docker's words, and not too often.
import type { Host } from "../../core/host.ts";
import type { TellProgress } from "../../core/plugin.ts";
import { PROGRESS_PAUSE_MS } from "./limits.ts";

/** As Docker shows digests. */
export function shortId(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

export interface BlobProgressParts {
  readonly digest: string;
  readonly size: number;
  /** `Downloading`, `Uploading` */
  readonly doing: string;
  /** Told once before the first figure; "": nothing is. */
  readonly first: string;
  readonly tell: TellProgress;
  readonly host: Pick<Host, "monotonicMs">;
}

export class BlobProgress {
  readonly #parts: BlobProgressParts;
  #toldAtMs: number;
  #hasFigures = false;

  constructor(parts: BlobProgressParts) {
    this.#parts = parts;
    this.#toldAtMs = parts.host.monotonicMs();
  }

  /** A blob that is through within a tenth of a second has none. */
  get hasFigures(): boolean {
    return this.#hasFigures;
  }

  moved(current: number): void {
    const { doing, first, size, host } = this.#parts;
    const nowMs = host.monotonicMs();
    if (nowMs - this.#toldAtMs < PROGRESS_PAUSE_MS || current >= size) return;
    this.#toldAtMs = nowMs;
    if (!this.#hasFigures && first !== "") this.say(first);
    this.#hasFigures = true;
    this.say(doing, { current, total: size });
  }

  say(status: string, figures: { readonly current?: number; readonly total?: number } = {}): void {
    const { tell, digest } = this.#parts;
    tell({ status, id: shortId(digest), isOfLayer: true, ...figures });
  }
}
