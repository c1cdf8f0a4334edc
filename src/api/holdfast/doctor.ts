// The routes of a volume's doctor.
import { toEngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { VolumeReport } from "../../core/volume-report.ts";
import type { Engine } from "../../engine/engine.ts";
import { instantOf } from "../holder-objects.ts";
import { type Call, parseFlag } from "./call.ts";
import { linesOf } from "./kept-lines.ts";

/** The handlers of `examine` and `report`. */
export function doctorHandlers(engine: Engine) {
  const { doctor, volumes } = engine;
  return {
    examine: ({ path, query, context }: Call) => {
      const { name } = volumes.inspect(path["name"] ?? "");
      const isQuick = parseFlag("quick", query);
      return linesOf((write) => {
        const told = (measurement: object) => write({ measurement });
        return doctor.examine(name, { isQuick, told }, context.operation).then(
          (report) => write({ report: reportObject(report) }),
          (thrown: unknown) => {
            const { message, code, recovery } = toEngineError(thrown);
            write({ error: message, code, recovery });
          },
        );
      });
    },
    report: ({ path }: Call) => {
      const { name } = volumes.inspect(path["name"] ?? "");
      return { report: lastReport(engine, name) };
    },
  };
}

/** null: there is none since the daemon's start. */
export function lastReport(engine: Engine, name: VolumeName): object | null {
  const report = engine.doctor.reportOf(name);
  return report === undefined ? null : reportObject(report);
}

function reportObject(report: VolumeReport): object {
  const { volume, atMs, tookMs, isQuick, storage, hadSecondMount, ended } = report;
  const { fileSystem, source, options } = storage;
  return {
    ...{ volume, at: instantOf(atMs), tookMs, quick: isQuick },
    storage: { fileSystem, source, options },
    ...{ secondMount: hadSecondMount, ended, advice: report.advice },
    ...{ fitness: report.fitness, measurements: report.measurements },
  };
}
