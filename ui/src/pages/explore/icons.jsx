import { Icon } from "../../components/icons.jsx";

export const Left = (props) => (
  <Icon {...props}>
    <path d="m10 3.5-4.5 4.5 4.5 4.5" />
  </Icon>
);
export const Plus = (props) => (
  <Icon {...props}>
    <path d="M8 3v10M3 8h10" />
  </Icon>
);
export const Link = (props) => (
  <Icon {...props}>
    <path d="M6.5 9.5 9.5 6.5M7 4.5l1.2-1.2a3.1 3.1 0 0 1 4.4 4.4L11.5 9M9 11.5l-1.2 1.2a3.1 3.1 0 0 1-4.4-4.4L4.5 7" />
  </Icon>
);
export const ZoomOut = (props) => (
  <Icon {...props}>
    <circle cx="7" cy="7" r="4.5" />
    <path d="m10.5 10.5 3.5 3.5M5 7h4" />
  </Icon>
);
export const Clock = (props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 4.8V8l2.2 1.5" />
  </Icon>
);
export const List = (props) => (
  <Icon {...props}>
    <path d="M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4v.1M2.5 8v.1M2.5 12v.1" />
  </Icon>
);
