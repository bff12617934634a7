// JSON without loss: numbers that JavaScript would change stay as they are written, members keep their order.
// Objects are Maps, so that no name of a member means anything.

export class Numeral {
  constructor(text) { this.text = text; }
}

const TOKEN = /[\s]*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)|(true|false|null))/y;

// Raises SyntaxError, with the browser's own words.
export function parse(text) {
  JSON.parse(text);
  TOKEN.lastIndex = 0;
  const next = () => TOKEN.exec(text);
  const value = (token) => {
    const [, mark, string, number, word] = token;
    if (string !== undefined) return JSON.parse(string);
    if (number !== undefined) return String(Number(number)) === number ? Number(number) : new Numeral(number);
    if (word !== undefined) return JSON.parse(word);
    return mark === "{" ? object() : array();
  };
  function object() {
    const found = new Map();
    let token = next();
    while (token[1] !== "}") {
      if (token[1] === ",") token = next();
      next(); // the colon
      found.set(JSON.parse(token[2]), value(next()));
      token = next();
    }
    return found;
  }
  function array() {
    const found = [];
    let token = next();
    while (token[1] !== "]") {
      if (token[1] === ",") token = next();
      found.push(value(token));
      token = next();
    }
    return found;
  }
  return value(next());
}

// As JSON.stringify writes it.
export function write(value, indent = 0, depth = 0) {
  if (value instanceof Numeral) return value.text;
  const isMap = value instanceof Map;
  if (!isMap && !Array.isArray(value)) return JSON.stringify(value);
  const [open, close] = isMap ? "{}" : "[]";
  const parts = isMap
    ? [...value].map(([key, each]) => `${JSON.stringify(key)}:${indent ? " " : ""}${write(each, indent, depth + 1)}`)
    : value.map((each) => write(each, indent, depth + 1));
  if (parts.length === 0) return open + close;
  if (!indent) return open + parts.join(",") + close;
  const line = "\n" + " ".repeat(indent * (depth + 1));
  return open + line + parts.join("," + line) + "\n" + " ".repeat(indent * depth) + close;
}
