// Coulisse's tag. It reports what happens on this site to this site's own node,
// and only as far as the visitor agreed. Before that it stores nothing and, unless
// told otherwise, sends nothing.
//
//   <script async src="https://mesure.example.ca/c.js"></script>
//
// Options are attributes (data-before-consent="counts") or, where a tag manager
// writes the element, parameters of the address (c.js?before-consent=counts):
//   before-consent  "counts": page views are counted, without visitor, parameters
//                   or language, while the visitor has not answered yet
//   layer           the data layer's name, if it is not dataLayer
//   minor           the visitor is under 14: nothing happens at all
//
// c.min.js is made from this file: go generate ./node/collect/tag
(function (w, d, nav) {
  const script = d.currentScript;
  if (!script || w.coulisse?.ready) return;
  const source = new URL(script.src);
  const option = (name) =>
    script.getAttribute("data-" + name) ?? source.searchParams.get(name);

  const intake = new URL("e", source).href;
  const counts = option("before-consent") == "counts";
  const VISITOR = "coulisse";
  const QUEUE = "coulisse.queue";
  const LIFE = 395 * 864e5; // 13 months, never prolonged
  const MOST = 100; // events kept here while they cannot be sent
  const GRANTED = "granted";
  const DENIED = "denied";
  const UNSET = "unset";

  const json = JSON.stringify;
  const consent = {
    analytics: UNSET,
    advertising: UNSET,
    personalisation: UNSET,
    pooling: UNSET,
  };
  let proof, gpp, decided; // how consent was said, and when
  let visitor; // set if and only if analytics is granted
  let leaver; // the visitor who withdrew, until the node knows
  let off = option("minor") != null;
  let pending = []; // events that the node has not confirmed
  let flying = []; // those of them that are on their way
  let timer, tries = 0;
  let patience = 0; // the node asked not to be asked before

  // Storage may be forbidden: then nothing outlives the page.
  const read = (key) => {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {}
  };
  const write = (key, value) => {
    try {
      value
        ? localStorage.setItem(key, json(value))
        : localStorage.removeItem(key);
    } catch {}
  };

  // A random 128-bit identifier as 22 characters.
  const draw = () =>
    btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
      .slice(0, 22)
      .replace(/\W/g, (c) => (c == "+" ? "-" : "_"));

  // What a site says is anything at all; one wrong value must not have the other
  // events of its batch refused. These keep what event.schema.json takes.
  const text = (value, most) =>
    /string|number/.test(typeof value)
      ? String(value).slice(0, most).replace(/\p{Cs}/gu, "") // half a character
      : undefined;
  const money = (value) =>
    /^-?\d{1,10}([.,]\d{1,2}|\.\d+)?$/.test(value) ? text(value, 32) : undefined;

  // The queue is shared by the site's tabs. Identifiers are never written to it.
  const without = (list, gone) =>
    list.filter((e) => !gone.some((g) => g.id == e.id));
  const save = (events) =>
    write(
      QUEUE,
      without(read(QUEUE) || [], events)
        .concat(events.filter((e) => e.type != "identify"))
        .slice(-MOST)
    );
  const done = (events) => {
    pending = without(pending, events);
    const rest = without(read(QUEUE) || [], events);
    if (visitor) write(QUEUE, rest.length && rest);
    if (!pending.length) leaver = undefined;
  };

  // ---- sending

  const bare = ({ id, at, type, url, title, referrer }) => ({
    id,
    at,
    type,
    url: url.split(/[?#]/)[0],
    title,
    referrer: referrer.split("/", 3).join("/"),
  });

  const body = (events) =>
    json({
      v: 1,
      sent: Date.now(),
      visitor: visitor || leaver,
      consent: {
        ...consent,
        at: decided,
        proof,
        gpp,
        gpc: nav.globalPrivacyControl,
      },
      events,
    });

  // What can go now: at most 50 events and 60 KB, the most that a browser sends
  // for a page that is being left.
  const batch = (events) => {
    let n = 50;
    while (n > 1 && json(events.slice(0, n)).length > 2e4) n >>= 1;
    return events.slice(0, n);
  };

  const later = (delay) => {
    timer = timer || setTimeout(flush, delay);
  };

  const again = (seconds) => {
    flying = [];
    patience = Date.now() + (seconds > 0 ? Math.min(seconds, 3600) * 1e3 : 0);
    if (visitor) write(VISITOR, { ...read(VISITOR), patience }); // for the next page
    later(Math.min(3e5, 1e3 * 2 ** tries++) * (1 + Math.random()));
  };

  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    if (off || flying.length || !(visitor || leaver)) return;
    if (Date.now() < patience) return later(patience - Date.now());
    entitle();
    const events = (flying = batch(pending));
    if (!events.length) return;
    fetch(intake, {
      method: "POST",
      body: body(events),
      keepalive: true,
      credentials: "omit",
    }).then(
      (answer) => {
        if (answer.status == 429 || answer.status > 499)
          return again(+answer.headers.get("Retry-After"));
        // Stored, or refused for good: asking again would not change that.
        flying = [];
        tries = 0;
        done(events);
        if (pending.length) later(0);
      },
      () => again()
    );
  };

  // The page is hidden or left, perhaps for ever: a beacon outlives it.
  const last = () => {
    leave();
    if (off || !nav.onLine || Date.now() < patience) return;
    entitle();
    let events = batch(without(pending, flying));
    if (!visitor && !leaver) {
      events = counts && consent.analytics == UNSET
        ? batch(pending.filter((e) => e.type == "page_view").map(bare))
        : [];
    }
    if (events.length && nav.sendBeacon(intake, body(events))) {
      done(events);
      if (!visitor) pending = [];
    }
  };

  const add = (type, fields) => {
    if (off || consent.analytics == DENIED) return;
    const event = { id: draw(), at: Date.now(), type, url: page, ...fields };
    pending = pending.concat(event).slice(-MOST);
    if (visitor) {
      save([event]);
      later(400);
    }
    return event;
  };

  // ---- consent

  const forget = () => {
    pending = [];
    visitor = undefined;
    write(VISITOR);
    write(QUEUE);
  };

  const decide = (answers, how) => {
    for (const purpose in consent) {
      const answer = answers[purpose];
      if (answer != null)
        consent[purpose] = answer === true || answer == GRANTED ? GRANTED : DENIED;
      if (nav.globalPrivacyControl && purpose != "analytics")
        consent[purpose] = DENIED;
    }
    proof = how;
    decided = Date.now();
    let known = read(VISITOR);
    if (consent.analytics == GRANTED) {
      if (!(decided - known?.born < LIFE)) known = { id: draw(), born: decided };
      visitor = known.id;
      patience = known.patience || 0;
      // What was answered on another page stays answered.
      const before = json(known.said);
      for (const purpose in known.said)
        if (consent[purpose] == UNSET) consent[purpose] = known.said[purpose];
      pending = without(read(QUEUE) || [], pending).concat(pending);
      save(pending);
      if (json(consent) == before) decided = known.at;
      else {
        write(VISITOR, { ...known, said: consent, at: decided });
        add("consent");
      }
      later(400);
    } else if (consent.analytics == DENIED) {
      leaver = visitor || known?.id;
      forget();
      if (leaver) {
        // Nobody is left to whom the other answers could belong.
        for (const purpose in consent) consent[purpose] = DENIED;
        pending = [{ id: draw(), at: decided, type: "consent", url: page }];
        flush();
      }
    }
  };

  // Consent Mode. A default is nobody's answer, whatever it says: only an update is.
  const mode = (kind, s) => {
    const ad = s.ad_storage;
    if (kind == "update")
      decide(
        {
          analytics: s.analytics_storage,
          advertising: ad == GRANTED ? s.ad_user_data || DENIED : ad,
          personalisation: s.ad_personalization,
        },
        "gcm"
      );
  };

  const listen = () => {
    if (!gpp && w.__gpp)
      w.__gpp("addEventListener", (event) => {
        gpp = event?.pingData?.gppString || gpp;
      });
  };

  // ---- the page

  const here = () => location.href.replace(/#(?![/!]).*/, "").slice(0, 2e3);
  let page = here();
  let view, depth = 0, told = 0, engaged = 0, since = 0;

  const entitle = () => {
    if (view) view.title = text(d.title, 300);
  };

  // Engaged time runs while the page is visible and has the focus.
  const tick = () => {
    const now = performance.now();
    if (since) engaged += now - since;
    since = d.visibilityState == "visible" && d.hasFocus() ? now : 0;
  };

  const leave = () => {
    tick();
    if (engaged >= 1e3) {
      add("engagement", { engaged: engaged | 0 });
      engaged = 0;
    }
    if (depth > told) add("scroll", { scroll: (told = depth) });
  };

  const arrive = (referrer) => {
    depth = told = engaged = 0;
    view = add("page_view", {
      title: text(d.title, 300),
      referrer,
      language: nav.language,
    });
  };

  const move = () => {
    const from = page;
    if (here() == from) return;
    entitle();
    leave();
    page = here();
    arrive(from);
  };

  // Nothing of ours may break the site's own call.
  const after = (object, name, then) => {
    const own = object[name];
    object[name] = function () {
      const result = own.apply(this, arguments);
      try {
        then(arguments);
      } catch {}
      return result;
    };
  };

  const FILES = /\.(pdf|docx?|xlsx?|pptx?|txt|csv|ics|epub|zip|mp[34]|wav|mov)$/i;
  const click = (event) => {
    const link = event.target.closest?.("a[href]");
    if (!/^http/.test(link?.protocol)) return;
    const target = link.href.split("#")[0].slice(0, 2e3);
    if (link.hasAttribute("download") || FILES.test(link.pathname))
      add("file_download", { target });
    else if (link.host != location.host) add("outbound_click", { target });
  };

  // ---- the data layer

  const SALES =
    /^(view_item(_list)?|select_item|add_to_cart|remove_from_cart|begin_checkout|add_payment_info|purchase|refund)$/;
  let basket; // as Tag Manager keeps it, from one push to the next
  const sale = (type, b) =>
    SALES.test(type) &&
    add(type, {
      value: money(b.value),
      currency: /^[A-Z]{3}$/.test(b.currency) ? b.currency : undefined,
      transaction: text(b.transaction_id, 200),
      items: [].concat(b.items).filter((i) => i).slice(0, 100).map((i) => ({
        id: text(i.item_id, 200),
        name: text(i.item_name, 500),
        category: text(i.item_category, 200),
        variant: text(i.item_variant, 200),
        price: money(i.price),
        quantity: i.quantity > 0 ? Math.min(1e6, i.quantity) | 0 : undefined,
      })),
    });

  const layered = (entry) => {
    if (!entry) return;
    if (entry[0] == "consent") mode(entry[1], entry[2]);
    else if (entry[0] == "event") sale(entry[1], entry[2] || {});
    else {
      if ("ecommerce" in entry) basket = entry.ecommerce;
      sale(entry.event, basket || {});
    }
  };

  // ---- what the site may call

  const call = (args) => {
    const [verb, a, b] = args;
    if (verb == "consent") decide(a, text(a.proof, 100) || "call");
    if (verb == "identify") {
      add(verb, {
        email: text(a.email, 320),
        phone: text(a.phone, 40),
        account: text(a.account, 200),
      });
    }
    if (verb == "event") {
      const props = {};
      for (const key of Object.keys(b || {}).slice(0, 20))
        if (key) props[text(key, 40)] = text(b[key], 500);
      add("custom", { name: text(a, 100), props });
    }
    if (verb == "minor") {
      forget();
      off = true;
    }
  };

  // What was pushed before the tag came, then what is pushed from now on.
  const follow = (list, then) => {
    for (const entry of list)
      try {
        then(entry);
      } catch {}
    after(list, "push", (entries) => [].forEach.call(entries, then));
  };

  w.coulisseQueue = w.coulisseQueue || [];
  const start = () => {
    if (off) return forget();
    listen();
    arrive(d.referrer);
    tick();

    const on = (target, names, then) =>
      names.split(" ").forEach((name) => target.addEventListener(name, then, true));
    after(history, "pushState", move);
    after(history, "replaceState", move);
    on(w, "popstate hashchange", move);
    on(w, "focus blur", tick);
    on(w, "load", listen);
    // Another tab of the site withdrew, and emptied the storage.
    on(w, "storage", () => visitor && !read(VISITOR) && forget());
    on(w, "online", () => {
      tries = 0;
      flush();
    });
    on(w, "pagehide", last);
    on(w, "pageshow", (event) => event.persisted && arrive(d.referrer));
    on(d, "visibilitychange", () => (d.visibilityState == "hidden" ? last() : tick()));
    on(d, "click auxclick", click);
    on(d, "scroll", (event) => {
      if (event.target != d) return; // a box in the page
      const most = d.documentElement.scrollHeight;
      depth = Math.max(depth, Math.min(100, ((scrollY + innerHeight) / most) * 100) | 0);
    });

    follow(w.coulisseQueue, call);
    const name = option("layer") || "dataLayer";
    follow((w[name] = w[name] || []), layered);
  };

  w.coulisse = function () {
    w.coulisseQueue.push(arguments);
  };
  w.coulisse.ready = 1;
  d.prerendering ? d.addEventListener("prerenderingchange", start) : start();
})(window, document, navigator);
