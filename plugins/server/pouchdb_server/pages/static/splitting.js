// Documents in a text that comes in pieces: JSON lines, an array, {"docs": [...]}, or the listing of _all_docs.
// What they are is the JSON text of each, so that nothing in it changes.

const SPACE = /[\s,]/;
const WRAPPED = /^\s*\{\s*(?:"(?:new_edits|total_rows|offset|update_seq|db_name)"\s*:\s*(?:"[^"]*"|[\w.+-]+)\s*,\s*)*"(docs|rows)"\s*:\s*\[/;
const HEAD = 4096;
const LINE_BREAK = /\r?\n/;

// `split.feed(text)` and at the end `split.end()` return texts, one for each document; what is no JSON is among them.
export class Splitter {
  #rest = "";
  #kind = null;
  #place = 0;
  #start = -1;
  #depth = 0;
  #isText = false;
  #isOver = false;

  // Whether the items are rows of a listing, whose documents are below `doc`.
  isListing = false;

  feed(text) {
    this.#rest += text;
    if (this.#kind === null && this.#rest.length < HEAD) return [];
    return this.#more(false);
  }

  end() {
    return this.#more(true);
  }

  #more(isLast) {
    this.#kind ??= this.#begin();
    return this.#kind === "lines" ? this.#lines(isLast) : this.#items(isLast);
  }

  #begin() {
    this.#rest = this.#rest.replace(/^\uFEFF/, "");
    const wrapped = WRAPPED.exec(this.#rest);
    if (wrapped) {
      this.isListing = wrapped[1] === "rows";
      this.#place = wrapped[0].length;
      return "items";
    }
    if (/^\s*\[/.test(this.#rest)) {
      this.#place = this.#rest.indexOf("[") + 1;
      return "items";
    }
    // One document over several lines is an item; else each line is one, and a broken one spoils no other.
    const first = this.#rest.trimStart().split(LINE_BREAK, 1)[0];
    return /^\{\s*$/.test(first) ? "items" : "lines";
  }

  #lines(isLast) {
    const lines = this.#rest.split(LINE_BREAK);
    this.#rest = isLast ? "" : lines.pop();
    return lines.map((line) => line.trim().replace(/,$/, "")).filter(Boolean);
  }

  #items(isLast) {
    const found = [];
    const text = this.#rest;
    let place = this.#place;
    const take = (end) => { found.push(text.slice(this.#start, end)); this.#start = -1; };
    for (; place < text.length && !this.#isOver; place += 1) {
      const letter = text[place];
      if (this.#isText) {
        if (letter === "\\") place += 1;
        else if (letter === '"') this.#isText = false;
      } else if (this.#depth === 0 && (letter === "]" || SPACE.test(letter))) {
        // The end of a number or word, which is no document; or nothing.
        if (this.#start >= 0) take(place);
        this.#isOver = letter === "]";
      } else {
        if (this.#start < 0) this.#start = place;
        if (letter === '"') this.#isText = true;
        else if (letter === "{" || letter === "[") this.#depth += 1;
        else if (letter === "}" || letter === "]") {
          this.#depth = Math.max(0, this.#depth - 1);
          if (this.#depth === 0) take(place + 1);
        }
      }
    }
    // What is done is forgotten; a backslash at the end has its next letter in the next piece.
    const done = this.#isOver ? text.length : this.#start < 0 ? Math.min(place, text.length) : this.#start;
    this.#rest = text.slice(done);
    this.#place = place - done;
    if (this.#start >= 0) this.#start = 0;
    if (isLast && !this.#isOver && this.#start >= 0) found.push(this.#rest);
    return found;
  }
}
