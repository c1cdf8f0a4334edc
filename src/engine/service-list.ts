// Which volumes the services of Docker Swarms name, also those that have no container just now.
import type { EngineService } from "../core/container-engine.ts";
import type { AliasEntry } from "../core/state-store.ts";
import type { SilentEngine } from "./container-lists.ts";

export interface ServiceListParts {
  readonly services: readonly EngineService[];
  readonly unreachable: readonly SilentEngine[];
  /** A service may know a volume by the name that it had. */
  readonly aliases: Iterable<AliasEntry>;
}

/** What all engines that are known said of their services at one moment. */
export class ServiceList {
  /** Engines that could not say: what their services name is not known. */
  readonly unreachable: readonly SilentEngine[];
  /** By the volumes that they mean. */
  readonly #aliases = new Map<string, string[]>();
  readonly #byName = new Map<string, string[]>();
  readonly #patterns: { readonly pattern: readonly string[]; readonly service: string }[] = [];

  constructor({ services, unreachable, aliases }: ServiceListParts) {
    this.unreachable = unreachable;
    for (const { alias, volume } of aliases) {
      const others = this.#aliases.get(volume);
      if (others === undefined) this.#aliases.set(volume, [alias]);
      else others.push(alias);
    }
    for (const service of services) {
      for (const volume of service.volumes) this.#add(volume, service.name);
    }
  }

  /** The names of the services that name this volume, by its name or an alias, each once. */
  naming(volume: string): readonly string[] {
    const found = [volume, ...(this.#aliases.get(volume) ?? [])].flatMap((name) => {
      const matching = this.#patterns.filter(({ pattern }) => fits(name, pattern));
      return [...(this.#byName.get(name) ?? []), ...matching.map(({ service }) => service)];
    });
    return [...new Set(found)];
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
export const nobodysServices = new ServiceList({ services: [], unreachable: [], aliases: [] });
