/** The group of the security kinds, and its served versions, storage first. */
export const securityGroup = "security.istio.io";
export const securityVersions: readonly string[] = ["v1", "v1beta1"];
