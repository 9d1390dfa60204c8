const mebibyte = 1 << 20;

/**
 * What one connection may cost, on every HTTP listener. Streams may live for hours, so nothing bounds those; only the time
 * that headers take. What a connection that is not read by its upstream can fill is its HTTP/2 window: Envoy's own is
 * 24 MiB.
 */
export const httpDefences = () => ({
  requestHeadersTimeout: { seconds: 15n },
  maxRequestHeadersKb: 60,
  commonHttpProtocolOptions: { maxHeadersCount: 100 },
  http2ProtocolOptions: {
    maxConcurrentStreams: 1024,
    initialStreamWindowSize: mebibyte,
    initialConnectionWindowSize: 8 * mebibyte,
  },
});
