// Which volumes the services of Docker Swarms name, also those that have no container just now.
import type { EngineService } from "../core/container-engine.ts";
import type { SilentEngine } from "./container-lists.ts";

/** What all engines that are known said of their services at one moment. */
export class ServiceList {
  /** Engines that could not say: what their services name is not known. */
  readonly unreachable: readonly SilentEngine[];
  readonly #byName = new Map<string, string[]>();
  readonly #patterns: { readonly pattern: readonly string[]; readonly service: string }[] = [];

  constructor(services: readonly EngineService[], unreachable: readonly SilentEngine[]) {
    this.unreachable = unreachable;
    for (const service of services) {
      for (const volume of service.volumes) this.#add(volume, service.name);
    }
  }

  /** The names of the services that name this volume, each once. */
  naming(volume: string): readonly string[] {
    const plain = this.#byName.get(volume) ?? [];
    const matching = this.#patterns.filter(({ pattern }) => fits(volume, pattern));
    return [...new Set([...plain, ...matching.map(({ service }) => service)])];
  }

  #add(volume: string, service: string): void {
    const pattern = volume.split("*");
    if (pattern.length > 1) {
      this.#patterns.push({ pattern, service });
      return;
    }
    const services = this.#byName.get(volume);
    if (services === undefined) this.#byName.set(volume, [service]);
    else services.push(service);
  }
}

/** Whether a name is these parts with any text between each two. */
function fits(name: string, [first = "", ...others]: readonly string[]): boolean {
  const last = others.pop() ?? "";
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const part of others) {
    const at = name.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}

/** Of engines without a Swarm, or of none. */
export const nobodysServices = new ServiceList([], []);
