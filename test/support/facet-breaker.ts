// Makes drivers that break a promise of one facet by replacing some of its members.
import type { VolumeDriver } from "../../src/core/driver.ts";
import type { BrokenDriver } from "./broken-drivers.ts";

type Healthy = Parameters<BrokenDriver["break"]>[0];

/** The facets of which a breaker replaces members. */
type FacetName = "rebuild" | "trash" | "rename" | "snapshots" | "health" | "update" | "flush";

type FacetOf<Name extends FacetName> = NonNullable<VolumeDriver[Name]>;

/** Describes a driver that breaks one promise of this facet; see `BrokenDriver` for the words. */
type Breaker<Name extends FacetName> = (
  promise: string,
  fault: string,
  change: (facet: FacetOf<Name>, healthy: Healthy) => Partial<FacetOf<Name>>,
  also?: readonly string[],
) => BrokenDriver;

/** A function that replaces members of the facet of this name. */
export function breakerOf<Name extends FacetName>(name: Name): Breaker<Name> {
  return (promise, fault, change, also = []) => ({
    promise,
    fault,
    also,
    break(healthy) {
      const facet = present(healthy.driver[name]);
      return { ...healthy.driver, [name]: { ...facet, ...change(facet, healthy) } };
    },
  });
}

/** A facet that the healthy driver has. */
export function present<T>(facet: T): NonNullable<T> {
  if (facet === undefined || facet === null)
    throw new TypeError("the healthy driver lacks a facet");
  return facet;
}
