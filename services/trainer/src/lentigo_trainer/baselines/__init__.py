"""The two older systems that the paper builds on, as baselines: Xie et al. 2017, Aswin et al. 2014."""
