// A member's site: a data layer as Tag Manager's snippet leaves it, and a consent
// tool that speaks Consent Mode and remembers the answer in a cookie of its own.
window.dataLayer = window.dataLayer || [];
function gtag() {
  dataLayer.push(arguments);
}
window.coulisse =
  window.coulisse ||
  function () {
    (window.coulisseQueue = window.coulisseQueue || []).push(arguments);
  };

const four = (answer) => ({
  analytics_storage: answer,
  ad_storage: answer,
  ad_user_data: answer,
  ad_personalization: answer,
});
gtag("consent", "default", { ...four("denied"), wait_for_update: 500 });
gtag("js", new Date());
gtag("config", "G-XXXXXXX");
dataLayer.push({ "gtm.start": Date.now(), event: "gtm.js" });

const answered = /cmp=(\w+)/.exec(document.cookie);
if (answered) gtag("consent", "update", four(answered[1]));

const answer = (how) => {
  document.cookie = "cmp=" + how + ";path=/";
  gtag("consent", "update", four(how));
};
const buttons = {
  accept: () => answer("granted"),
  refuse: () => answer("denied"),
  buy() {
    dataLayer.push({ ecommerce: null });
    dataLayer.push({
      event: "purchase",
      ecommerce: {
        transaction_id: "T-1001",
        value: 84.5,
        tax: 11,
        currency: "CAD",
        items: [
          { item_id: "S-12", item_name: "Le Sacre", item_category: "danse", price: 42.25, quantity: 2 },
        ],
      },
    });
    document.body.dataset.bought = "yes";
  },
  next() {
    history.pushState({}, "", "/suite?page=2#bas");
    document.title = "La suite";
  },
};
document.addEventListener("click", (event) => {
  const does = buttons[event.target.id];
  if (does) does();
});
