// Remote write 1.0 as a sender of the tests' own speaks it.

function varint(value) {
  const bytes = [];
  let left = BigInt.asUintN(64, BigInt(value));
  while (left >= 0x80n) {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  bytes.push(Number(left));
  return Buffer.from(bytes);
}

const field = (number, bytes) => Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
const text = (number, value) => field(number, Buffer.from(value));

function sample(timeMs, value) {
  const bytes = Buffer.alloc(9);
  bytes[0] = (1 << 3) | 1;
  bytes.writeDoubleLE(value, 1);
  return field(2, Buffer.concat([bytes, varint(2 << 3), varint(timeMs)]));
}

/** A WriteRequest of `series`: [{labels: {name: value}, samples: [[timeMs, value]]}]. */
export function message(series) {
  return Buffer.concat(
    series.map(({ labels, samples }) => {
      const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
      const named = sorted.map(([name, value]) => field(1, Buffer.concat([text(1, name), text(2, value)])));
      return field(1, Buffer.concat([...named, ...samples.map(([time, value]) => sample(time, value))]));
    }),
  );
}

/** Snappy's block format with nothing but literals in it. */
export function snappy(bytes) {
  const parts = [varint(bytes.length)];
  for (let at = 0; at < bytes.length; at += 65_536) {
    const part = bytes.subarray(at, at + 65_536);
    const length = part.length - 1;
    parts.push(Buffer.from([61 << 2, length & 0xff, length >> 8]), part);
  }
  return Buffer.concat(parts);
}

/** The answer to a remote write of `series`. */
export function write(quarterdeck, series) {
  return quarterdeck.get("/api/v1/write", {
    method: "POST",
    headers: {
      "Content-Type": "application/x-protobuf",
      "Content-Encoding": "snappy",
      "X-Prometheus-Remote-Write-Version": "0.1.0",
    },
    body: snappy(message(series)),
  });
}
