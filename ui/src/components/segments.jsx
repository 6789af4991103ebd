// A choice among a few, all of them in sight. Radio buttons underneath: arrow keys move, a screen reader counts.
// labelShown: the label stands before the options, where it would not be clear what they count.
import { useId } from "react";

export function Segments({ label, labelShown = false, options, value, onChange }) {
  const name = useId();
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">{label}</legend>
      {labelShown && (
        <span className="segments-label" aria-hidden="true">
          {label}
        </span>
      )}
      {options.map((option) => (
        <label
          key={option.value}
          className={option.value === value ? "segment segment-on" : "segment"}
          title={option.title}
        >
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span>{option.label}</span>
          {option.count !== undefined && <span className="count">{option.count}</span>}
        </label>
      ))}
    </fieldset>
  );
}
