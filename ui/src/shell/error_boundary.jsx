// A page that breaks stops alone: the navigation stays, and the fault is shown with a way on.
import { Component } from "react";

export class ErrorBoundary extends Component {
  state = { error: null };

  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div className="page">
        <div className="notice notice-bad" role="alert">
          <p className="notice-title">This page broke: {error.message}</p>
          <p className="notice-hint">
            After an update of Quarterdeck an open page may ask for files that are gone; loading it again cures that.
          </p>
          <button type="button" className="button" onClick={() => location.reload()}>
            Load again
          </button>
        </div>
      </div>
    );
  }
}
