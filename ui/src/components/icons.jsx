// The page's icons, drawn on 16 × 16. They are decoration: a word or an aria-label always says the same. Those that only
// Explore needs are in pages/explore/icons.jsx, because all here come with the first page.

export function Icon({ children, filled = false, size = 16, className }) {
  return (
    <svg
      aria-hidden="true"
      className={className}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill={filled ? "currentColor" : "none"}
      stroke={filled ? "none" : "currentColor"}
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  );
}

export const Wheel = (props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="2.6" />
    <circle cx="8" cy="8" r="5" />
    <path d="M8 1v4.4M8 10.6V15M1 8h4.4M10.6 8H15" />
  </Icon>
);
export const Gauge = (props) => (
  <Icon {...props}>
    <path d="M2.5 12.5a6.5 6.5 0 1 1 11 0M8 9l2.8-3.5" />
    <circle cx="8" cy="9.5" r="1" />
  </Icon>
);
export const Search = (props) => (
  <Icon {...props}>
    <circle cx="7" cy="7" r="4.5" />
    <path d="m10.5 10.5 3.5 3.5" />
  </Icon>
);
export const Layers = (props) => (
  <Icon {...props}>
    <ellipse cx="8" cy="4" rx="5" ry="2.2" />
    <path d="M3 4v8c0 1.2 2.2 2.2 5 2.2s5-1 5-2.2V4M3 8c0 1.2 2.2 2.2 5 2.2S13 9.2 13 8" />
  </Icon>
);
export const Box = (props) => (
  <Icon {...props}>
    <path d="M8 1.8 13.5 5v6L8 14.2 2.5 11V5ZM2.7 5.1 8 8.2l5.3-3.1M8 8.2v5.8" />
  </Icon>
);
export const More = (props) => (
  <Icon {...props}>
    <path d="M3 8h.1M8 8h.1M13 8h.1" strokeWidth="2.4" />
  </Icon>
);
export const Bell = (props) => (
  <Icon {...props}>
    <path d="M4 7a4 4 0 0 1 8 0c0 3 1.5 4 1.5 4.5h-11C2.5 11 4 10 4 7ZM6.5 13.8h3" />
  </Icon>
);
export const Target = (props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="6" />
    <circle cx="8" cy="8" r="2.5" />
  </Icon>
);
export const Info = (props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 7.5v3.5M8 5v.1" />
  </Icon>
);
export const Sun = (props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="3" />
    <path d="M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7" />
  </Icon>
);
export const Moon = (props) => (
  <Icon {...props}>
    <path d="M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z" />
  </Icon>
);
export const Keyboard = (props) => (
  <Icon {...props}>
    <rect x="1.5" y="4" width="13" height="8" rx="1.5" />
    <path d="M4 6.5v.1M6.7 6.5v.1M9.3 6.5v.1M12 6.5v.1M5 9.5h6" />
  </Icon>
);
export const Close = (props) => (
  <Icon {...props}>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
);
export const Pause = (props) => (
  <Icon {...props}>
    <path d="M5.5 4v8M10.5 4v8" />
  </Icon>
);
export const Play = (props) => (
  <Icon {...props}>
    <path d="m5 3.5 7.5 4.5L5 12.5Z" />
  </Icon>
);
export const Right = (props) => (
  <Icon {...props}>
    <path d="m6 3.5 4.5 4.5L6 12.5" />
  </Icon>
);

// The states, the absence of one, and what is switched off: each has its own outline, so that colour is never the only sign.
export const MarkBad = (props) => (
  <Icon {...props} filled>
    <path
      fillRule="evenodd"
      d="M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3ZM7.2 4.3h1.6v4.9H7.2ZM7.2 10.3h1.6v1.6H7.2Z"
    />
  </Icon>
);
export const MarkWarn = (props) => (
  <Icon {...props} filled>
    <path fillRule="evenodd" d="M8 1.5 15.3 14H.7ZM7.2 6h1.6v4H7.2ZM7.2 11h1.6v1.5H7.2Z" />
  </Icon>
);
export const MarkGood = (props) => (
  <Icon {...props} filled>
    <path
      fillRule="evenodd"
      d="M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13ZM6.9 11.3l5-5-1.1-1.1-3.9 3.9-1.8-1.8L4 8.4Z"
    />
  </Icon>
);
export const MarkNone = (props) => (
  <Icon {...props}>
    <circle cx="8" cy="8" r="5.5" strokeDasharray="2 2.5" />
  </Icon>
);
export const MarkOff = (props) => (
  <Icon {...props}>
    <path d="M4.5 4.5h7v7h-7Z" />
  </Icon>
);
