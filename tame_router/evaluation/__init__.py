"""Measuring the router: questions with known answers, figures, comparison, reports."""
