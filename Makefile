PYTHON ?= python3
VENV := .venv

# Another ROS that the calling shell has sourced must not leak in.
ifdef AMENT_PREFIX_PATH
unexport LD_LIBRARY_PATH
endif
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help
help:
	@echo "make demo [SCENE=folder]   locate the clicks of a scene through the real ROS graph"
	@echo "make test [ARGS=...]       check the code and run all tests; ARGS go to pytest"
	@echo "make lint                  check the code only"
	@echo "make setup                 set up or update $(VENV); the others do so by themselves"
	@echo "make clean                 remove $(VENV) and everything that was built"
	@echo "PYTHON=python3.12          chooses the Python (3.11 or 3.12) that $(VENV) is made of"

.PHONY: setup
setup:
	@$(PYTHON) tools/bootstrap.py $(VENV)

.PHONY: demo
demo: setup
	@$(VENV)/bin/cvgeo demo $(if $(SCENE),"$(SCENE)")

.PHONY: lint
lint: setup
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

.PHONY: test
test: lint
	@$(VENV)/bin/python -m pytest $(ARGS)

.PHONY: clean
clean:
	rm -rf $(VENV) build install log dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
