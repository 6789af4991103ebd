// A choice among a few, all of them in sight. Radio buttons underneath: arrow keys move, a screen reader counts.
import { useId } from "react";

export function Segments({ label, options, value, onChange }) {
  const name = useId();
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">{label}</legend>
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
