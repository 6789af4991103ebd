// What is found or declared, by kind; and below it a page for each.
import "../../styles/lists.css";
import "../../styles/services.css";
import { A } from "../../components/link.jsx";
import { Empty } from "../../components/notice.jsx";
import { useLocation } from "../../lib/router.js";
import { List } from "./list.jsx";
import { Service } from "./service.jsx";

// ["redis", "127.0.0.1:6379"] of /services/redis/127.0.0.1%3A6379; null when an address was cut.
function parts(path) {
  try {
    return path.split("/").slice(2).filter(Boolean).map(decodeURIComponent);
  } catch {
    return null;
  }
}

export function Services() {
  const { path } = useLocation();
  const asked = parts(path);
  if (asked?.length === 0) return <List />;
  if (asked?.length >= 2) return <Service kind={asked[0]} address={asked.slice(1).join("/")} />;
  return (
    <div className="page">
      <header className="page-head">
        <h1>Services</h1>
      </header>
      <Empty title="This address names no service">
        It has the form /services/KIND/ADDRESS, and may have been cut when it was copied.{" "}
        <A href="/services">See all services</A>.
      </Empty>
    </div>
  );
}
