"""How nbgrader makes, collects and grades the assignments; see class.md."""

from nbgrader.plugins import BasePlugin

c = get_config()  # noqa: F821 (traitlets defines it)
c.CourseDirectory.course_id = "transfer-learning"
c.ClearSolutions.code_stub = {"python": "answer = ..."}
c.ClearSolutions.text_stub = "*Your sentences here.*"
c.ExecutePreprocessor.timeout = 300  # seconds a cell may take
# What a student hands in is called "ada_05_word_vectors.ipynb". Where a server adds the
# time, "ada_2026-12-01-18-00-00_05_word_vectors.ipynb", lateness is known. Moodle's and
# Canvas' downloads have a name, then numbers; Moodle's may have a folder per student.
c.FileNameCollectorPlugin.named_regexp = (
    r".*[/\\](?P<student_id>[^_/\\]+)"
    r"(?:_\d+_assignsubmission_file_?[/\\]?|_(?:LATE_)?\d+_\d+_|_)"
    r"(?:(?P<timestamp>\d{4}(?:-\d\d){5})_)?"
    r"(?P<file_id>\d\d_\w+?)(?:-\d+)?\.ipynb"
)


class TenthADay(BasePlugin):
    """Take a tenth of the points for every day that is begun after the due date."""

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        """Return the points to take off."""
        days = -(-total_seconds_late // 86_400)
        return min(1, days / 10) * score


c.AssignLatePenalties.plugin_class = TenthADay
