// The part of every engine that is JavaScript, loaded into a fresh context before anything hostile. ES5 only: js2py reads it too.
//
// The value of this file is one function, dispatch(operation, text) -> text. It is never put on the global object, and after the
// first line of foreign code it uses nothing that such code could have changed: captured functions, own variables, operators.
// Results are put together as text, piece by piece, so that a tampered prototype (toJSON, setters on Array.prototype) can spoil
// the values of its own design document but never the shape of the answer. Many inputs come as lines, one JSON text a line.
// host(word, text) -> text asks the parent something in the middle of the operation "converse": for rows, to take what was sent.
(function (global, host) {
  var call = (function () {}).call; // js2py has no Function.prototype
  var invoke = call.bind(call);
  var apply = call.bind((function () {}).apply);
  var bind = function (method) { return call.bind(method); };
  var slice = bind(String.prototype.slice), indexOf = bind(String.prototype.indexOf), lastIndexOf = bind(String.prototype.lastIndexOf);
  var codeAt = bind(String.prototype.charCodeAt), split = bind(String.prototype.split), join = bind(Array.prototype.join);
  var hasOwn = bind(Object.prototype.hasOwnProperty), nameOf = bind(Object.prototype.toString);
  var parse = JSON.parse, stringify = JSON.stringify, create = Object.create, array = Array.isArray;
  var AnyFunction = Function, AnyError = Error, MissingName = ReferenceError, BadSyntax = SyntaxError, text = String, evaluate = eval;
  var surroundings = ["performance", "queueMicrotask", "SharedArrayBuffer", "Atomics", "DOMException", "navigator", "console",
    "exports", "log", "print", "std", "os", "bjson", "scriptArgs", "gc"];
  var LOG_LINES = 200, LOG_CHARACTERS = 20000, TEXT_CHARACTERS = 65536, CANDIDATES = 64, WRAPPER = ";return (", CHUNK = 65536, PIECE = 1048576;

  var pristine = null, self = null;            // the design document: for require, and as `this` of its functions
  var functions = create(null), modules = create(null);
  var kind = "", emitted = "", answer = null;  // of the function that runs
  var complaint = null;                        // about the one that is compiled
  var logs = "", logged = 0;

  // ---- text ----------------------------------------------------------------------------------------------------------------

  function json(value) {
    var result = stringify(value);
    return result === undefined ? "null" : result;
  }

  function Lines(source) { this.list = split(source, "\n"); this.at = 0; }
  function next(lines) {
    if (lines.at >= lines.list.length) { return null; }
    lines.at += 1;
    return lines.list[lines.at - 1];
  }

  function cut(value, length) { return value.length > length ? slice(value, 0, length) : value; }

  // A user's getter or toString may run in here, and may throw: every step is on its own.
  function attempt(step, value) {
    try { return step(value); } catch (ignored) { return null; }
  }
  function readName(error) { return text(error.name); }
  function readMessage(error) { return text(error.message); }
  function readStack(error) { return typeof error.stack === "string" ? error.stack : null; }
  function readText(value) { return text(value); }
  function isError(value) {
    return value !== null && typeof value === "object" && (value instanceof AnyError || nameOf(value) === "[object Error]");
  }
  function limited(value, length) { return typeof value === "string" ? stringify(cut(value, length)) : "null"; }

  function failure(thrown) {
    var error = attempt(isError, thrown) === true;
    var body = attempt(json, thrown);
    return '{"error":{"name":' + (error ? limited(attempt(readName, thrown), 1000) : "null") +
      ',"message":' + (error ? limited(attempt(readMessage, thrown), TEXT_CHARACTERS) : "null") +
      ',"stack":' + (error ? limited(attempt(readStack, thrown), TEXT_CHARACTERS) : "null") +
      ',"text":' + limited(attempt(readText, thrown), TEXT_CHARACTERS) +
      ',"thrown":' + (typeof body === "string" ? body : "null") + "}}";
  }

  // ---- what functions see --------------------------------------------------------------------------------------------------

  function only(allowed, name) {
    if (indexOf(allowed, " " + kind + " ") < 0) { throw new MissingName(name + " is not defined"); }
  }
  function emit(key, value) {
    if (kind !== "map") { only("", "emit"); }
    var pair = "[" + json(key) + "," + json(value) + "]";
    emitted = emitted === "" ? pair : emitted + "," + pair;
  }
  function log(message) {
    logged += 1;
    if (logged > LOG_LINES || logs.length > LOG_CHARACTERS) { return; }
    var line = typeof message === "string" ? message : json(message);
    logs += (logs === "" ? "" : ",") + stringify(cut(line, LOG_CHARACTERS));
  }
  function sum(values) {
    if (values.length === 0) { return 0; }
    var total = values[0];
    for (var i = 1; i < values.length; i += 1) { total += values[i]; }
    return total;
  }
  // CouchDB takes the last start() before the response's head goes out, the original the first of all, with send() as start({}).
  function begin(response) {
    var head = response === undefined ? "{}" : json(response);
    if (answer.first === null) { answer.first = head; }
    return head;
  }
  function start(response) {
    only(" show list ", "start");
    var head = begin(response);
    if (!answer.gone) { answer.started = head; }
  }
  function send(chunk) {
    only(" show list ", "send");
    begin();
    if (answer.started === null) { answer.started = "{}"; }
    answer.sending = true;
    answer.sent += chunk === undefined || chunk === null ? "" : text(chunk);
    while (answer.conversing && answer.sent.length >= CHUNK) { hand("send"); }
  }
  // What was sent, a piece at a time, not cut in the middle of a character of two halves.
  function hand(word) {
    var length = answer.sent.length, high;
    if (length > PIECE) {
      high = codeAt(answer.sent, PIECE - 1);
      length = high >= 0xd800 && high < 0xdc00 ? PIECE - 1 : PIECE;
    }
    var piece = slice(answer.sent, 0, length);
    answer.sent = slice(answer.sent, length);
    if (piece !== "") { answer.gone = true; }
    return host(word, join(['{"started":', answer.started, ',"first":', answer.first, ',"sent":', stringify(piece), "}"], ""));
  }
  function getRow() {
    only(" list ", "getRow");
    if (answer.ended) { return null; }
    begin();
    if (answer.started === null) { answer.started = "{}"; }
    // CouchDB sends what there is, and with the first piece the head, whenever a row is asked for.
    if (answer.sending) { answer.gone = true; }
    var line = next(answer.rows);
    if (line === null && answer.conversing) {
      while (answer.sent.length > PIECE) { hand("send"); }
      var more = hand("rows");
      if (more !== "") {
        answer.rows = new Lines(more);
        line = next(answer.rows);
      }
    }
    if (line === null) {
      answer.ended = true;
      return null;
    }
    return parse(line);
  }
  function provides(type, provider) {
    only(" show list ", "provides");
    answer.providers += (answer.providers === "" ? "" : ",") + stringify(text(type));
    answer.provider[text(type)] = provider;
  }
  function registerType(type) {
    only(" show list ", "registerType");
    var names = "";
    for (var i = 0; i < arguments.length; i += 1) { names += (i ? "," : "") + stringify(text(arguments[i])); }
    answer.types += (answer.types === "" ? "" : ",") + "[" + names + "]";
  }

  // ---- require -------------------------------------------------------------------------------------------------------------

  function badPath(message) {
    var error = new AnyError(message);
    error.name = "invalid_require_path";
    return error;
  }
  function own(value, name) {
    return value !== null && typeof value === "object" && !array(value) && hasOwn(value, name);
  }

  // What a function may require: views and reductions only from views/lib, because no other member is part of a view's signature.
  function reach(kind) {
    if (kind !== "map" && kind !== "reduce") { return pristine; }
    return own(pristine, "views") && own(pristine.views, "lib") ? {views: {lib: pristine.views.lib}} : {};
  }
  // `place` is a linked list {value, parent, id} from the design document down to a member.
  function resolve(path, place, top) {
    var names = split(path, "/"), relative = names[0] === "." || names[0] === "..";
    if (!relative || place === null) { place = {value: top, parent: null, id: ""}; }
    for (var i = 0; i < names.length; i += 1) {
      var name = names[i];
      if (name === "..") {
        if (place.parent === null) { throw badPath("Object has no parent"); }
        place = place.parent;
      } else if (name !== ".") {
        if (!own(place.value, name)) { throw badPath('Object has no property "' + name + '"'); }
        place = {value: place.value[name], parent: place, id: place.id === "" ? name : place.id + "/" + name};
      }
    }
    if (typeof place.value !== "string") {
      throw badPath("Must require a JavaScript string, not: " + (place.value === null ? "null" : typeof place.value));
    }
    return place;
  }
  function requirer(place, top) {
    return function require(path) {
      var found = resolve(text(path), place, top);
      var module = modules[found.id];
      if (module === undefined) {
        module = {id: found.id, exports: {}};
        modules[found.id] = module; // before it runs: a cycle gets what is exported so far
        try {
          invoke(AnyFunction("module", "exports", "require", found.value + "\n"), global, module, module.exports,
            requirer(found.parent, top));
        } catch (error) {
          modules[found.id] = undefined;
          throw error;
        }
      }
      return module.exports;
    };
  }

  // ---- compile -------------------------------------------------------------------------------------------------------------

  // True when nothing but white space, semicolons and comments follows.
  function blank(source) {
    var i = 0, c, end;
    while (i < source.length) {
      c = codeAt(source, i);
      if (c === 47 && codeAt(source, i + 1) === 47) {
        end = indexOf(source, "\n", i);
        if (end < 0) { return true; }
        i = end;
      } else if (c === 47 && codeAt(source, i + 1) === 42) {
        end = indexOf(source, "*/", i + 2);
        if (end < 0) { return false; }
        i = end + 1;
      } else if (c !== 59 && c !== 32 && (c < 9 || c > 13) && c !== 0xa0 && c !== 0xfeff && c !== 0x2028 && c !== 0x2029) {
        return false;
      }
      i += 1;
    }
    return true;
  }

  // `before` (statements) and `expression` as the body of a function: null when that is no syntax.
  function body(before, expression) {
    try {
      return AnyFunction("require", before + WRAPPER + expression + "\n)"); // no line break: `before` may end in a comment
    } catch (error) {
      if (error instanceof BadSyntax) {
        if (complaint === null) { complaint = error; }
        return null;
      }
      throw error;
    }
  }
  // One expression, with semicolons and comments after it.
  function expression(before, source) {
    var found = body(before, source), at = source.length;
    for (var i = 0; found === null && i < CANDIDATES && at > 0; i += 1) {
      at = lastIndexOf(source, ";", at - 1);
      if (at < 0) { break; }
      if (blank(slice(source, at))) { found = body(before, slice(source, 0, at)); }
    }
    return found;
  }
  // Statements, then a function: old engines took the last function as the value, also without a name or parentheses.
  function statements(source) {
    var found = null, at = -1;
    for (var i = 0; found === null && i < CANDIDATES; i += 1) {
      at = indexOf(source, "function", at + 1);
      if (at < 0) { break; }
      found = expression(slice(source, 0, at), slice(source, at));
    }
    return found;
  }
  // Statements, then any expression: the value of the last one.
  function completion(source) {
    var run = AnyFunction("eval", "require", "return eval(arguments[2])");
    return function (require) { return run(evaluate, require, source); };
  }
  function beginsLikeFunction(source) {
    var i = 0;
    while (codeAt(source, i) <= 32 || codeAt(source, i) === 40) { i += 1; }
    return slice(source, i, i + 8) === "function" || slice(source, i, i + 5) === "async";
  }
  // A syntax error, and how many lines and characters stand before the source in what the engine read.
  function refused(error, lines, characters) {
    return join(['{"lines":', lines, ',"characters":', characters, ",", slice(failure(error), 1)], "");
  }
  function compile(order) {
    var source = order.source;
    if (codeAt(source, 0) === 0xfeff) { source = slice(source, 1); }
    complaint = null;
    var maker = expression("", source) || statements(source), made;
    kind = "";
    try {
      made = (maker || completion(source))(requirer(null, reach(order.kind)));
    } catch (error) {
      // What is wrong with it as an expression says more about a function than that statements do not begin like that.
      if (maker || !(error instanceof BadSyntax)) { return failure(error); }
      return beginsLikeFunction(source) ? refused(complaint, 2, WRAPPER.length) : refused(error, 0, 0);
    }
    if (typeof made !== "function") { throw new AnyError("Expression does not eval to a function."); }
    functions[order.id] = {run: made, kind: order.kind};
    return '{"ok":true}';
  }

  // ---- operations ----------------------------------------------------------------------------------------------------------

  function map(lines) {
    var ids = parse(next(lines)), line = next(lines), out = "", row, result, f;
    for (; line !== null; line = next(lines)) {
      row = "";
      for (var i = 0; i < ids.length; i += 1) {
        f = functions[ids[i]];
        emitted = "";
        kind = f.kind;
        try {
          // Parsed again for each function: none sees what another did to it. Without the design document as `this`, which is
          // no part of a view's signature.
          invoke(f.run, global, parse(line));
          result = "[" + emitted + "]";
        } catch (error) {
          result = failure(error);
        }
        row = i ? row + "," + result : result;
      }
      out = out === "" ? "[" + row + "]" : out + ",[" + row + "]";
    }
    return "[" + out + "]";
  }

  function reduce(lines) {
    var order = parse(next(lines)), line = next(lines), out = "", row, result, f, group;
    for (; line !== null; line = next(lines)) {
      row = "";
      for (var i = 0; i < order.functions.length; i += 1) {
        f = functions[order.functions[i]];
        kind = f.kind;
        group = parse(line);
        try {
          result = '{"ok":' + json(invoke(f.run, global, group[0], group[1], order.rereduce)) + "}";
        } catch (error) {
          result = failure(error);
        }
        row = i ? row + "," + result : result;
      }
      out = out === "" ? "[" + row + "]" : out + ",[" + row + "]";
    }
    return "[" + out + "]";
  }

  // The same function for many argument lists, `shared` arguments after each: filters, validation.
  function each(lines) {
    var order = parse(next(lines)), shared = next(lines), line = next(lines), f = functions[order], out = "", result, a, b;
    for (; line !== null; line = next(lines)) {
      kind = f.kind;
      a = parse(line);
      b = parse(shared);
      try {
        for (var i = 0; i < b.length; i += 1) { a[a.length] = b[i]; }
        result = '{"ok":' + json(apply(f.run, self, a)) + "}";
      } catch (error) {
        result = failure(error);
      }
      out = out === "" ? result : out + "," + result;
    }
    return "[" + out + "]";
  }
  // One call with everything a show, list, update or rewrite function may do besides returning a value.
  function full(lines) { return run(lines, false); }
  function converse(lines) { return run(lines, true); }
  function run(lines, conversing) {
    var order = parse(next(lines)), args = parse(next(lines)), f = functions[order], value;
    answer = {rows: lines, conversing: conversing, ended: false, sending: false, gone: false, started: null, first: null, sent: "",
      providers: "", types: "", provider: create(null)};
    kind = f.kind;
    try {
      value = apply(f.run, self, args);
      if (conversing && answer.providers !== "") {
        var chosen = parse(host("provide", described(value)));
        if (chosen !== null) {
          var provider = answer.provider[chosen];
          value = provider();
        }
      }
      return described(value);
    } catch (error) {
      return failure(error);
    }
  }
  function described(value) {
    return join(['{"ok":', json(value), ',"type":', stringify(value === null ? "null" : array(value) ? "array" : typeof value),
      ',"started":', answer.started === null ? "null" : answer.started, ',"first":', answer.first === null ? "null" : answer.first,
      ',"sent":', stringify(answer.sent), ',"providers":[', answer.providers, '],"types":[', answer.types, "]}"], "");
  }

  function open(lines) {
    var source = next(lines);
    pristine = parse(source);
    self = parse(source);
    return "null";
  }
  function compileLine(lines) { return compile(parse(next(lines))); }

  var operations = create(null);
  operations.open = open;
  operations.compile = compileLine;
  operations.map = map;
  operations.reduce = reduce;
  operations.each = each;
  operations.call = full;
  operations.converse = converse;

  for (var i = 0; i < surroundings.length; i += 1) { delete global[surroundings[i]]; }
  delete JSON.rawJSON;
  delete JSON.isRawJSON;
  global.emit = emit; global.log = log; global.sum = sum; global.isArray = array; global.toJSON = stringify;
  global.start = start; global.send = send; global.getRow = getRow; global.provides = provides; global.registerType = registerType;
  // The engine turns an error that escapes into text outside of every limit: keep user code out of that path.
  Object.defineProperty(Error, "prepareStackTrace", {value: undefined, writable: false, configurable: false, enumerable: false});
  if (typeof InternalError === "function") {
    var fixed = {toString: Error.prototype.toString, name: "InternalError", message: "", stack: "", cause: undefined};
    for (var name in fixed) {
      Object.defineProperty(InternalError.prototype, name, {value: fixed[name], writable: false, configurable: false, enumerable: false});
    }
  }

  return function dispatch(operation, source) {
    var result;
    logs = ""; logged = 0; emitted = "";
    try {
      result = operations[operation](new Lines(source));
    } catch (error) {
      result = failure(error);
    }
    if (logged > LOG_LINES || logs.length > LOG_CHARACTERS) { logs += ',"(more log messages were dropped)"'; }
    // Joined, not added: QuickJS makes trees of long sums, which its Python binding cannot read.
    return join(['{"result":', result, ',"logs":[', logs, "]}"], "");
  };
})
