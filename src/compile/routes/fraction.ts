import {
  FractionalPercent_DenominatorType,
  type FractionalPercentSchema,
} from "../../proto/envoy/type/v3/percent_pb.js";
import type { Init } from "../init.js";

/** A percentage, to four decimal places. */
export const fractionOf = (percentage: number): Init<typeof FractionalPercentSchema> => ({
  numerator: Math.round(percentage * 10_000),
  denominator: FractionalPercent_DenominatorType.MILLION,
});
