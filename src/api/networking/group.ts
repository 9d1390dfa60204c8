/** The group of the traffic kinds, and its served versions, storage first. */
export const networkingGroup = "networking.istio.io";
export const networkingVersions: readonly string[] = ["v1", "v1beta1", "v1alpha3"];
