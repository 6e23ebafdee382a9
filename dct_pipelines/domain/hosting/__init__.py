"""Git hosts (GitHub, GitLab, Gitea): what is asked of them, and how pull requests become events. Pure."""
